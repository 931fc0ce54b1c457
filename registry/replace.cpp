// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include "backup.h"
#include "mhub/base/error.h"
#include "model_rows.h"
#include "registry_state.h"

namespace mhub::registry {
namespace fs = std::filesystem;
namespace {

constexpr const char* kCompanions[] = {"-journal", "-wal", "-shm"};

Error cannot(const fs::path& file, const std::string& what) {
  return {ErrorCode::kDisk, fmt::format("replace registry {}: {}", file.string(), what),
          "give this user write permission there", ""};
}

// Held by whoever writes a registry that is still readable.
bool is_being_written(const fs::path& file) {
  try {
    SQLite::Database database(file.string(), SQLite::OPEN_READWRITE, 2000);
    database.exec("BEGIN IMMEDIATE; ROLLBACK");
    return false;
  } catch (const SQLite::Exception& e) {
    return e.getErrorCode() == SQLITE_BUSY;
  }
}

Result<void> write_rows(const fs::path& draft, const std::vector<ModelRecord>& models) {
  MHUB_TRY(const std::unique_ptr<SQLite::Database> database, open_database(draft, {}));
  try {
    SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
    for (const ModelRecord& model : models) {
      const int64_t id = upsert_model(*database, model);
      replace_files(*database, id, model.files);
      point_aliases(*database, id, model.aliases);
    }
    database->exec("UPDATE facts SET value = '' WHERE key = 'knows_store_since'");
    transaction.commit();
    return {};
  } catch (const SQLite::Exception& e) {
    return error_from(e, "write", draft);
  }
}

}  // namespace

Result<fs::path> Registry::replace(const fs::path& file, const std::vector<ModelRecord>& models) {
  std::error_code error;
  if (fs::exists(file, error) && is_being_written(file)) {
    return Error{ErrorCode::kRegistry, fmt::format("replace registry {}: another process is writing it", file.string()),
                 "stop the other mhub first", ""};
  }
  const fs::path draft = file.string() + fmt::format(".new-{}", getpid());
  fs::remove(draft, error);
  auto written = write_rows(draft, models);
  if (written) written = sync_path(draft);
  if (!written) {
    fs::remove(draft, error);
    return written.error();
  }
  fs::path kept;
  if (fs::exists(file, error)) {
    std::string stamp = utc_now();
    std::erase_if(stamp, [](char c) { return c == ':' || c == '-' || c == '.'; });
    kept = file.string() + ".old-" + stamp;
    // A journal belongs to the bytes it was written for: it moves along, or it would be played into the new file.
    for (const char* companion : kCompanions) {
      if (fs::exists(file.string() + companion, error))
        fs::rename(file.string() + companion, kept.string() + companion, error);
      if (error) return cannot(file, error.message());
    }
    fs::rename(file, kept, error);
    if (error) return cannot(file, error.message());
  }
  for (const char* companion : kCompanions) fs::remove(draft.string() + companion, error);
  fs::rename(draft, file, error);
  if (error) return cannot(file, error.message());
  MHUB_CHECK_OK(sync_path(file.parent_path()));
  return kept;
}

}  // namespace mhub::registry
