// SPDX-License-Identifier: Apache-2.0
#include "mhub/registry/registry.h"

#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include "mhub/base/error.h"
#include "model_rows.h"
#include "registry_state.h"

namespace mhub::registry {
namespace {

// A commit may be given by its first digits, as git allows.
constexpr size_t kShortestCommitPrefix = 7;

void add_details(SQLite::Database& database, ModelRecord& model, bool with_files) {
  model.aliases = select_aliases(database, model.id);
  if (with_files) model.files = select_files(database, model.id);
}

std::optional<ModelRecord> first_row(SQLite::Database& database, SQLite::Statement& select) {
  if (!select.executeStep()) return std::nullopt;
  ModelRecord model = read_model(select);
  add_details(database, model, true);
  return model;
}

std::optional<ModelRecord> newest_named(SQLite::Database& database, const std::string& name) {
  SQLite::Statement select(database, fmt::format(R"(
      SELECT {} FROM models WHERE name = ? ORDER BY complete DESC, created_at DESC, id DESC LIMIT 1)",
                                                 kModelColumns));
  select.bind(1, name);
  return first_row(database, select);
}

std::optional<ModelRecord> aliased(SQLite::Database& database, const std::string& alias) {
  SQLite::Statement select(database, fmt::format(R"(
      SELECT {} FROM models JOIN aliases ON aliases.model_id = models.id WHERE alias = ?)",
                                                 kModelColumns));
  select.bind(1, alias);
  return first_row(database, select);
}

std::optional<ModelRecord> newest_at(SQLite::Database& database, const std::string& name, const std::string& revision) {
  SQLite::Statement select(database, fmt::format(R"(
      SELECT {} FROM models
      WHERE name = ?1 AND (revision = ?2 OR commit_id = ?2
                           OR (length(?2) >= ?3 AND substr(commit_id, 1, length(?2)) = ?2))
      ORDER BY complete DESC, created_at DESC, id DESC LIMIT 1)",
                                                 kModelColumns));
  select.bind(1, name);
  select.bind(2, revision);
  select.bind(3, static_cast<int64_t>(kShortestCommitPrefix));
  return first_row(database, select);
}

}  // namespace

std::string utc_now() {
  using namespace std::chrono;
  const auto now = time_point_cast<milliseconds>(system_clock::now());
  const std::time_t seconds = system_clock::to_time_t(now);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
  return fmt::format("{}.{:03}Z", text, now.time_since_epoch().count() % 1000);
}

uint64_t ModelRecord::total_bytes() const {
  if (files.empty()) return num_bytes;
  uint64_t total = 0;
  for (const FileRecord& file : files) total += file.bytes;
  return total;
}

Registry::Registry(std::unique_ptr<State> state) : state_(std::move(state)) {}
Registry::~Registry() = default;

Result<std::unique_ptr<Registry>> Registry::open(const std::filesystem::path& file, const OpenOptions& options) {
  auto state = std::make_unique<State>();
  state->file = file;
  MHUB_TRY(state->database, open_database(file, options));
  return std::unique_ptr<Registry>(new Registry(std::move(state)));
}

Result<int64_t> Registry::put_model(const ModelRecord& model, const std::function<Result<void>()>& publish) {
  return state_->write_unless_error([&](SQLite::Database& database) -> Result<int64_t> {
    ModelRecord row = model;
    if (row.created_at.empty()) row.created_at = utc_now();
    const int64_t id = upsert_model(database, row);
    replace_files(database, id, model.files);
    point_aliases(database, id, model.aliases);
    if (publish) MHUB_CHECK_OK(publish());
    return id;
  });
}

Result<std::vector<ModelRecord>> Registry::list_models(bool with_files) {
  MHUB_TRY(std::vector<ModelRecord> models, list_models(ListFilter()));
  if (!with_files) return models;
  auto read = state_->read([&](SQLite::Database& database) {
    for (ModelRecord& model : models) model.files = select_files(database, model.id);
    return true;
  });
  if (!read) return read.error();
  return models;
}

Result<std::vector<ModelRecord>> Registry::models_named(const std::string& name) {
  return state_->read([&](SQLite::Database& database) {
    SQLite::Statement select(
        database, fmt::format("SELECT {} FROM models WHERE name = ? ORDER BY created_at DESC, id DESC", kModelColumns));
    select.bind(1, name);
    std::vector<ModelRecord> models;
    while (select.executeStep()) models.push_back(read_model(select));
    for (ModelRecord& model : models) add_details(database, model, false);
    return models;
  });
}

Result<ModelRecord> Registry::find_model(const std::string& name) {
  auto found = state_->read([&](SQLite::Database& database) {
    auto model = newest_named(database, name);
    if (!model) model = aliased(database, name);
    if (const size_t at = name.rfind('@'); !model && at != std::string::npos) {
      model = newest_at(database, name.substr(0, at), name.substr(at + 1));
    }
    return model;
  });
  if (!found) return found.error();
  if (found->has_value()) return **std::move(found);
  return Error{ErrorCode::kModelNotFound, fmt::format("find model '{}': it is not registered", printable(name)),
               "`mhub list` shows what is; `mhub download` gets more", ""};
}

Result<std::optional<ModelRecord>> Registry::find_exact(const std::string& source, const std::string& name,
                                                        const std::string& commit, const std::string& path) {
  return state_->read([&](SQLite::Database& database) {
    SQLite::Statement select(database, fmt::format(R"(
        SELECT {} FROM models WHERE name = ? AND source = ? AND commit_id = ? AND path = ?)",
                                                   kModelColumns));
    int at = 0;
    for (const auto* text : {&name, &source, &commit, &path}) select.bind(++at, *text);
    return first_row(database, select);
  });
}

Result<void> Registry::remove_model(int64_t id) {
  auto removed = state_->write([&](SQLite::Database& database) {
    forget_extents(database, id);
    SQLite::Statement remove(database, "DELETE FROM models WHERE id = ?");
    remove.bind(1, id);
    return remove.exec();
  });
  if (!removed) return removed.error();
  if (*removed == 1) return {};
  return Error{ErrorCode::kModelNotFound, fmt::format("remove model {}: it is not registered", id),
               "another process may have removed it", ""};
}

Result<void> Registry::update_file_stats(int64_t model_id, const std::vector<FileRecord>& files) {
  auto updated = state_->write([&](SQLite::Database& database) {
    int rows = 0;
    for (const FileRecord& file : files) rows += update_file(database, model_id, file) ? 1 : 0;
    refresh_verification(database, model_id);
    return rows;
  });
  if (!updated) return updated.error();
  return {};
}

}  // namespace mhub::registry
