// SPDX-License-Identifier: Apache-2.0
#include "backup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "database.h"
#include "migrations.h"

namespace mhub::registry {
namespace fs = std::filesystem;
namespace {

Error cannot(const fs::path& file, const std::string& why) {
  return {ErrorCode::kDisk, fmt::format("copy the registry to {} before migrating it: {}", file.string(), why),
          "free space there and run the same command again; nothing was changed", ""};
}

}  // namespace

fs::path backup_path(const fs::path& file, int version) {
  return file.string() + fmt::format(".v{}.bak", version);
}

Result<void> sync_path(const fs::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = fd >= 0 && fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  if (synced) return {};
  return Error{ErrorCode::kDisk, fmt::format("sync {}: {}", path.string(), std::strerror(error)),
               "check the disk and free space", ""};
}

Result<void> back_up_before_migration(SQLite::Database& database, const fs::path& file) {
  const int version = user_version(database);
  if (version == 0 || version >= migrations().back().version) return {};
  const fs::path target = backup_path(file, version);
  std::error_code error;
  if (fs::exists(target, error)) return {};
  // Another process may do the same or migrate meanwhile: own name, the copy's version looked at, then a rename.
  const fs::path draft = target.string() + fmt::format(".{}", getpid());
  fs::remove(draft, error);
  if (mknod(draft.c_str(), S_IFREG | 0600, 0) != 0) return cannot(target, std::strerror(errno));
  try {
    int copied_version = 0;
    {
      SQLite::Database copy(draft.string(), SQLite::OPEN_READWRITE);
      SQLite::Backup backup(copy, database);
      backup.executeStep();
      copied_version = user_version(copy);
    }
    if (copied_version == version) {
      MHUB_CHECK_OK(sync_path(draft));
      fs::rename(draft, target, error);
      if (error) return cannot(target, error.message());
      MHUB_CHECK_OK(sync_path(target.parent_path()));
    }
    fs::remove(draft, error);
    return {};
  } catch (const SQLite::Exception& e) {
    fs::remove(draft, error);
    return cannot(target, e.what());
  }
}

}  // namespace mhub::registry
