// SPDX-License-Identifier: Apache-2.0
#include "model_rows.h"

#include <algorithm>
#include <bit>

namespace mhub::registry {

const char* const kModelColumns =
    "models.id, models.name, source, endpoint, revision, commit_id, models.path, in_store, format, quantization, "
    "architecture, complete, card_json, created_at, pinned, used_at, verified_at, num_files, bytes";

namespace {

std::string oldest_verification(const std::vector<FileRecord>& files) {
  const auto oldest = std::min_element(files.begin(), files.end(),
                                       [](const auto& a, const auto& b) { return a.verified_at < b.verified_at; });
  return oldest == files.end() ? "" : oldest->verified_at;
}

void put_extents(SQLite::Database& database, const FileRecord& file) {
  SQLite::Statement insert(database, "INSERT OR REPLACE INTO extents (sha256, hashes) VALUES (?, ?)");
  insert.bind(1, file.sha256);
  insert.bind(2, file.extents.data(), static_cast<int>(file.extents.size()));
  insert.exec();
}

}  // namespace

int64_t upsert_model(SQLite::Database& database, const ModelRecord& model) {
  SQLite::Statement insert(database, R"(
      INSERT INTO models (name, source, endpoint, revision, commit_id, path, in_store, format, quantization, architecture,
                          complete, card_json, created_at, pinned, used_at, verified_at, num_files, bytes)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (name, source, commit_id, path) DO UPDATE SET
        endpoint = excluded.endpoint, revision = excluded.revision, in_store = excluded.in_store,
        format = excluded.format, quantization = excluded.quantization, architecture = excluded.architecture,
        complete = excluded.complete, card_json = excluded.card_json, created_at = excluded.created_at,
        pinned = max(pinned, excluded.pinned), used_at = max(used_at, excluded.used_at),
        verified_at = excluded.verified_at, num_files = excluded.num_files, bytes = excluded.bytes
      RETURNING id)");
  int at = 0;
  for (const auto* text : {&model.name, &model.source, &model.endpoint, &model.revision, &model.commit, &model.path}) {
    insert.bind(++at, *text);
  }
  insert.bind(++at, model.in_store ? 1 : 0);
  for (const auto* text : {&model.format, &model.quantization, &model.architecture}) insert.bind(++at, *text);
  insert.bind(++at, model.complete ? 1 : 0);
  insert.bind(++at, model.card_json);
  insert.bind(++at, model.created_at);
  insert.bind(++at, model.pinned ? 1 : 0);
  insert.bind(++at, model.used_at);
  insert.bind(++at, oldest_verification(model.files));
  insert.bind(++at, static_cast<int64_t>(model.files.size()));
  insert.bind(++at, static_cast<int64_t>(model.total_bytes()));
  insert.executeStep();
  return insert.getColumn(0).getInt64();
}

void replace_files(SQLite::Database& database, int64_t model_id, const std::vector<FileRecord>& files) {
  SQLite::Statement remove(database, "DELETE FROM files WHERE model_id = ?");
  remove.bind(1, model_id);
  remove.exec();
  SQLite::Statement insert(database, R"(
      INSERT INTO files (model_id, path, bytes, sha256, git_sha1, verified_at, inode, mtime_ns, ctime_ns)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?))");
  for (const FileRecord& file : files) {
    insert.bind(1, model_id);
    insert.bind(2, file.path);
    insert.bind(3, static_cast<int64_t>(file.bytes));
    insert.bind(4, file.sha256);
    insert.bind(5, file.git_sha1);
    insert.bind(6, file.verified_at);
    insert.bind(7, std::bit_cast<int64_t>(file.inode));
    insert.bind(8, file.mtime_ns);
    insert.bind(9, file.ctime_ns);
    insert.exec();
    insert.reset();
    if (!file.extents.empty()) put_extents(database, file);
  }
}

void point_aliases(SQLite::Database& database, int64_t model_id, const std::vector<std::string>& aliases) {
  SQLite::Statement insert(database, R"(
      INSERT INTO aliases (alias, model_id) VALUES (?, ?)
      ON CONFLICT (alias) DO UPDATE SET model_id = excluded.model_id)");
  for (const std::string& alias : aliases) {
    insert.bind(1, alias);
    insert.bind(2, model_id);
    insert.exec();
    insert.reset();
  }
}

bool update_file(SQLite::Database& database, int64_t model_id, const FileRecord& file) {
  SQLite::Statement update(database, R"(
      UPDATE files SET verified_at = ?, inode = ?, mtime_ns = ?, ctime_ns = ?
      WHERE model_id = ? AND path = ? AND sha256 = ?)");
  update.bind(1, file.verified_at);
  update.bind(2, std::bit_cast<int64_t>(file.inode));
  update.bind(3, file.mtime_ns);
  update.bind(4, file.ctime_ns);
  update.bind(5, model_id);
  update.bind(6, file.path);
  update.bind(7, file.sha256);
  const bool updated = update.exec() == 1;
  if (updated && !file.extents.empty()) put_extents(database, file);
  return updated;
}

ModelRecord read_model(SQLite::Statement& row) {
  ModelRecord model;
  int at = 0;
  model.id = row.getColumn(at++).getInt64();
  for (auto* text : {&model.name, &model.source, &model.endpoint, &model.revision, &model.commit, &model.path}) {
    *text = row.getColumn(at++).getString();
  }
  model.in_store = row.getColumn(at++).getInt() != 0;
  for (auto* text : {&model.format, &model.quantization, &model.architecture}) *text = row.getColumn(at++).getString();
  model.complete = row.getColumn(at++).getInt() != 0;
  model.card_json = row.getColumn(at++).getString();
  model.created_at = row.getColumn(at++).getString();
  model.pinned = row.getColumn(at++).getInt() != 0;
  model.used_at = row.getColumn(at++).getString();
  model.verified_at = row.getColumn(at++).getString();
  model.num_files = static_cast<uint64_t>(row.getColumn(at++).getInt64());
  model.num_bytes = static_cast<uint64_t>(row.getColumn(at++).getInt64());
  return model;
}

std::vector<FileRecord> select_files(SQLite::Database& database, int64_t model_id) {
  SQLite::Statement select(database, R"(
      SELECT path, bytes, sha256, git_sha1, verified_at, inode, mtime_ns, ctime_ns
      FROM files WHERE model_id = ? ORDER BY path)");
  select.bind(1, model_id);
  std::vector<FileRecord> files;
  while (select.executeStep()) {
    FileRecord& file = files.emplace_back();
    file.path = select.getColumn(0).getString();
    file.bytes = static_cast<uint64_t>(select.getColumn(1).getInt64());
    file.sha256 = select.getColumn(2).getString();
    file.git_sha1 = select.getColumn(3).getString();
    file.verified_at = select.getColumn(4).getString();
    file.inode = std::bit_cast<uint64_t>(select.getColumn(5).getInt64());
    file.mtime_ns = select.getColumn(6).getInt64();
    file.ctime_ns = select.getColumn(7).getInt64();
  }
  return files;
}

void forget_extents(SQLite::Database& database, int64_t model_id) {
  SQLite::Statement remove(database, R"(
      DELETE FROM extents WHERE sha256 IN (
        SELECT sha256 FROM files AS mine WHERE model_id = ?1
          AND NOT EXISTS (SELECT 1 FROM files WHERE sha256 = mine.sha256 AND model_id <> ?1)))");
  remove.bind(1, model_id);
  remove.exec();
}

void refresh_verification(SQLite::Database& database, int64_t model_id) {
  SQLite::Statement update(database, R"(
      UPDATE models SET verified_at = coalesce((SELECT min(verified_at) FROM files WHERE model_id = ?1), '')
      WHERE id = ?1)");
  update.bind(1, model_id);
  update.exec();
}

std::vector<std::string> select_aliases(SQLite::Database& database, int64_t model_id) {
  SQLite::Statement select(database, "SELECT alias FROM aliases WHERE model_id = ? ORDER BY alias");
  select.bind(1, model_id);
  std::vector<std::string> aliases;
  while (select.executeStep()) aliases.push_back(select.getColumn(0).getString());
  return aliases;
}

}  // namespace mhub::registry
