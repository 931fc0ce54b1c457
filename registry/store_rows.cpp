// SPDX-License-Identifier: Apache-2.0
// What the store asks of the registry: filtered lists, pins, aliases, content by hash.
#include <fmt/format.h>

#include <bit>
#include <map>

#include "mhub/base/error.h"
#include "model_rows.h"
#include "registry_state.h"

namespace mhub::registry {
namespace {

const char* order_column(ListFilter::Order order) {
  switch (order) {
    case ListFilter::Order::kBytes:
      return "bytes";
    case ListFilter::Order::kCreated:
      return "created_at";
    case ListFilter::Order::kUsed:
      return "max(used_at, created_at)";
    case ListFilter::Order::kVerified:
      return "verified_at";
    case ListFilter::Order::kName:
      break;
  }
  return "name";
}

struct Condition {
  std::string sql;
  std::string text;  // bound to it
};

std::vector<Condition> conditions(const ListFilter& filter) {
  std::vector<Condition> all;
  if (!filter.name.empty()) {
    all.push_back({"(name GLOB ?{0} OR EXISTS (SELECT 1 FROM aliases WHERE model_id = models.id AND alias GLOB ?{0}))",
                   filter.name});
  }
  const std::pair<const char*, const std::string*> columns[] = {{"source", &filter.source},
                                                                {"format", &filter.format},
                                                                {"quantization", &filter.quantization},
                                                                {"architecture", &filter.architecture}};
  for (const auto& [column, pattern] : columns) {
    if (!pattern->empty()) all.push_back({std::string(column) + " GLOB ?{0}", *pattern});
  }
  const std::pair<const char*, std::optional<bool>> flags[] = {
      {"complete", filter.complete}, {"pinned", filter.pinned}, {"in_store", filter.in_store}};
  for (const auto& [column, value] : flags) {
    if (value) all.push_back({fmt::format("{} = CAST(?{{0}} AS INTEGER)", column), *value ? "1" : "0"});
  }
  return all;
}

// In one pass: a query per model would cost more than the list.
void add_aliases(SQLite::Database& database, std::vector<ModelRecord>& models) {
  std::multimap<int64_t, std::string> aliases;
  SQLite::Statement select(database, "SELECT model_id, alias FROM aliases ORDER BY alias");
  while (select.executeStep()) aliases.emplace(select.getColumn(0).getInt64(), select.getColumn(1).getString());
  if (aliases.empty()) return;
  for (ModelRecord& model : models) {
    const auto [first, last] = aliases.equal_range(model.id);
    for (auto alias = first; alias != last; ++alias) model.aliases.push_back(alias->second);
  }
}

Error not_registered(int64_t id) {
  return {ErrorCode::kModelNotFound, fmt::format("change model {}: it is not registered", id),
          "another process may have removed it", ""};
}

}  // namespace

Result<std::vector<ModelRecord>> Registry::list_models(const ListFilter& filter) {
  return state_->read([&](SQLite::Database& database) {
    const std::vector<Condition> wanted = conditions(filter);
    std::string where;
    for (size_t i = 0; i < wanted.size(); ++i) {
      where += (i == 0 ? " WHERE " : " AND ") + fmt::format(fmt::runtime(wanted[i].sql), i + 1);
    }
    const std::string by_name = "name, created_at DESC, id DESC";
    const std::string order =
        filter.order != ListFilter::Order::kName
            ? fmt::format("{}{}, {}", order_column(filter.order), filter.descending ? " DESC" : "", by_name)
        : filter.descending ? "name DESC, created_at, id"
                            : by_name;
    SQLite::Statement select(database, fmt::format("SELECT {} FROM models{} ORDER BY {} LIMIT {} OFFSET {}",
                                                   kModelColumns, where, order, filter.limit, filter.offset));
    for (size_t i = 0; i < wanted.size(); ++i) select.bind(static_cast<int>(i) + 1, wanted[i].text);
    std::vector<ModelRecord> models;
    while (select.executeStep()) models.push_back(read_model(select));
    add_aliases(database, models);
    return models;
  });
}

Result<void> Registry::set_pinned(int64_t id, bool pinned) {
  auto changed = state_->write([&](SQLite::Database& database) {
    SQLite::Statement update(database, "UPDATE models SET pinned = ? WHERE id = ?");
    update.bind(1, pinned ? 1 : 0);
    update.bind(2, id);
    return update.exec();
  });
  if (!changed) return changed.error();
  if (*changed != 1) return not_registered(id);
  return {};
}

Result<void> Registry::touch_model(int64_t id) {
  auto changed = state_->write([&](SQLite::Database& database) {
    SQLite::Statement update(database, "UPDATE models SET used_at = max(used_at, ?) WHERE id = ?");
    update.bind(1, utc_now());
    update.bind(2, id);
    return update.exec();
  });
  if (!changed) return changed.error();
  if (*changed != 1) return not_registered(id);
  return {};
}

Result<void> Registry::set_alias(const std::string& alias, int64_t id) {
  auto exists = state_->write([&](SQLite::Database& database) {
    SQLite::Statement select(database, "SELECT 1 FROM models WHERE id = ?");
    select.bind(1, id);
    if (!select.executeStep()) return false;
    point_aliases(database, id, {alias});
    return true;
  });
  if (!exists) return exists.error();
  if (!*exists) return not_registered(id);
  return {};
}

Result<bool> Registry::remove_alias(const std::string& alias) {
  return state_->write([&](SQLite::Database& database) {
    SQLite::Statement remove(database, "DELETE FROM aliases WHERE alias = ?");
    remove.bind(1, alias);
    return remove.exec() == 1;
  });
}

Result<std::vector<Registry::Located>> Registry::files_with_content(const std::string& sha256) {
  return state_->read([&](SQLite::Database& database) {
    SQLite::Statement select(database, R"(
        SELECT models.path, files.path, files.bytes, git_sha1, files.verified_at, inode, mtime_ns, ctime_ns, model_id
        FROM files JOIN models ON models.id = model_id WHERE sha256 = ? ORDER BY model_id)");
    select.bind(1, sha256);
    std::vector<Located> found;
    while (select.executeStep()) {
      Located& at = found.emplace_back();
      at.directory = select.getColumn(0).getString();
      at.file.path = select.getColumn(1).getString();
      at.file.bytes = static_cast<uint64_t>(select.getColumn(2).getInt64());
      at.file.sha256 = sha256;
      at.file.git_sha1 = select.getColumn(3).getString();
      at.file.verified_at = select.getColumn(4).getString();
      at.file.inode = std::bit_cast<uint64_t>(select.getColumn(5).getInt64());
      at.file.mtime_ns = select.getColumn(6).getInt64();
      at.file.ctime_ns = select.getColumn(7).getInt64();
      at.model_id = select.getColumn(8).getInt64();
    }
    return found;
  });
}

Result<std::string> Registry::extents_of(const std::string& sha256) {
  return state_->read([&](SQLite::Database& database) {
    SQLite::Statement select(database, "SELECT hashes FROM extents WHERE sha256 = ?");
    select.bind(1, sha256);
    if (!select.executeStep()) return std::string();
    const SQLite::Column hashes = select.getColumn(0);
    return std::string(static_cast<const char*>(hashes.getBlob()), static_cast<size_t>(hashes.getBytes()));
  });
}

Result<bool> Registry::if_unregistered(const std::string& path, const std::function<Result<void>()>& body) {
  return state_->write_unless_error([&](SQLite::Database& database) -> Result<bool> {
    SQLite::Statement select(database, "SELECT 1 FROM models WHERE path = ?");
    select.bind(1, path);
    if (select.executeStep()) return false;
    MHUB_CHECK_OK(body());
    return true;
  });
}

Result<Registry::StoreKnowledge> Registry::store_knowledge() {
  return state_->read([](SQLite::Database& database) {
    StoreKnowledge known;
    known.has_models = database.execAndGet("SELECT EXISTS (SELECT 1 FROM models)").getInt() != 0;
    SQLite::Statement select(database, "SELECT value FROM facts WHERE key = 'knows_store_since'");
    if (select.executeStep()) known.since = select.getColumn(0).getString();
    return known;
  });
}

}  // namespace mhub::registry
