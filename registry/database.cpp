// SPDX-License-Identifier: Apache-2.0
#include "database.h"

#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "backup.h"
#include "migrations.h"

namespace mhub::registry {
namespace fs = std::filesystem;
namespace {

constexpr int kFirstSafeWal = 3051003;
// A whole quick_check of a database up to this size costs about a millisecond; larger ones are checked as they are
// read.
constexpr int64_t kQuickCheckBytes = 1 << 20;

Error damaged(const fs::path& file, const std::string& what) {
  return {ErrorCode::kRegistry, fmt::format("read registry {}: the file is damaged ({})", file.string(), what),
          "run `mhub registry rebuild`: it makes a new one from the models on disk and keeps the damaged file", ""};
}

Error file_error(const std::string& action, const fs::path& file, const std::string& what) {
  return {ErrorCode::kDisk, fmt::format("{} registry {}: {}", action, file.string(), what),
          "give this user write permission there or set MHUB_HOME to another directory", ""};
}

// 0700 directory and 0600 file, whatever the umask. mknod leaves no descriptor whose closing would drop the locks that
// another connection of this process holds.
Result<void> create_file(const fs::path& file) {
  struct stat info {};
  if (stat(file.c_str(), &info) == 0) {
    if (!S_ISREG(info.st_mode)) return file_error("open", file, "not a regular file");
    return {};
  }
  const fs::path directory = file.parent_path();
  std::error_code error;
  if (directory.has_parent_path()) fs::create_directories(directory.parent_path(), error);
  if (!error && mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) error.assign(errno, std::generic_category());
  if (error) return file_error("create", file, error.message());
  if (mknod(file.c_str(), S_IFREG | 0600, 0) != 0 && errno != EEXIST) {
    return file_error("create", file, std::strerror(errno));
  }
  return {};
}

Result<void> configure(SQLite::Database& database, const fs::path& file, bool read_only) {
  database.exec(
      "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
      "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY");
  if (read_only) return {};
  const bool wal = wal_is_safe(sqlite3_libversion_number(), file.parent_path());
  const std::string mode =
      database.execAndGet(wal ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode = TRUNCATE").getString();
  if (mode != (wal ? "wal" : "truncate")) {
    return Error{
        ErrorCode::kRegistry,
        fmt::format("open registry {}: journal mode stays '{}' while another program holds it", file.string(), mode),
        "stop the other mhub, which uses another SQLite version, and try again", ""};
  }
  database.exec("PRAGMA journal_size_limit = 1048576");
  return {};
}

Result<void> check_version(SQLite::Database& database, const fs::path& file) {
  const int version = user_version(database);
  const int newest = migrations().back().version;
  if (version >= 0 && version <= newest) return {};
  return Error{ErrorCode::kRegistry,
               fmt::format("open registry {}: it has schema version {}, this mhub {} knows up to {}", file.string(),
                           version, MHUB_VERSION, newest),
               "use the newer mhub, or another MHUB_HOME; nothing was changed", ""};
}

Result<void> check_pages(SQLite::Database& database, const fs::path& file) {
  const int64_t bytes =
      database.execAndGet("PRAGMA page_count").getInt64() * database.execAndGet("PRAGMA page_size").getInt64();
  if (bytes > kQuickCheckBytes) return {};
  const std::string verdict = database.execAndGet("PRAGMA quick_check(1)").getString();
  if (verdict == "ok") return {};
  return damaged(file, verdict);
}

}  // namespace

bool wal_is_safe(int library_version, const fs::path& directory) {
  if (library_version < kFirstSafeWal) return false;
  struct statfs info {};
  if (statfs(directory.c_str(), &info) != 0) return false;
  // NFS, SMB1, SMB2, CIFS, 9P, FUSE, Lustre, GPFS, Ceph, AFS (statfs(2), linux/magic.h)
  constexpr std::array<uint32_t, 10> kRemote = {0x6969,     0x517B,     0xFE534D42, 0xFF534D42, 0x01021997,
                                                0x65735546, 0x0BD00BD0, 0x47504653, 0x00C36400, 0x5346414F};
  return std::find(kRemote.begin(), kRemote.end(), static_cast<uint32_t>(info.f_type)) == kRemote.end();
}

Error error_from(const SQLite::Exception& e, const std::string& action, const fs::path& file) {
  switch (e.getErrorCode()) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {ErrorCode::kRegistry,
              fmt::format("{} registry {}: another process has held it locked for too long", action, file.string()),
              fmt::format("try again; `fuser {}` names the process", file.string()), ""};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR:  // a table or column is missing: every statement of this program is tested
    case SQLITE_CONSTRAINT:
      if (action != "write" || e.getErrorCode() != SQLITE_CONSTRAINT) return damaged(file, e.what());
      return {ErrorCode::kInternal, fmt::format("write registry {}: {}", file.string(), e.what()), "please report it",
              ""};
    case SQLITE_FULL:
      return {ErrorCode::kDisk, fmt::format("{} registry {}: no space left", action, file.string()),
              "free space on that file system and run the same command again", ""};
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
      return file_error(action, file, e.what());
    case SQLITE_NOMEM:
      throw std::bad_alloc();
    default:
      return {
          ErrorCode::kDisk,
          fmt::format("{} registry {}: {} (SQLite code {})", action, file.string(), e.what(), e.getExtendedErrorCode()),
          "check the disk and free space", ""};
  }
}

Result<std::unique_ptr<SQLite::Database>> open_database(const fs::path& file, const OpenOptions& options) {
  MHUB_CHECK_OK(create_file(file));
  try {
    const int timeout_ms = static_cast<int>(std::clamp(options.busy_timeout_seconds, 0.0, 86400.0) * 1000);
    auto database = std::make_unique<SQLite::Database>(
        file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, timeout_ms);
    sqlite3* handle = database->getHandle();
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    // Until the version is known nothing may change, not even by the checkpoint of a newer program's WAL.
    sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    MHUB_CHECK_OK(check_version(*database, file));
    sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
    const bool read_only = sqlite3_db_readonly(handle, "main") == 1;
    MHUB_CHECK_OK(configure(*database, file, read_only));
    MHUB_CHECK_OK(back_up_before_migration(*database, file));
    apply_migrations(*database, migrations());
    MHUB_CHECK_OK(check_version(*database, file));
    MHUB_CHECK_OK(check_pages(*database, file));
    return database;
  } catch (const SQLite::Exception& e) {
    return error_from(e, "open", file);
  }
}

}  // namespace mhub::registry
