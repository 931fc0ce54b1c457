// SPDX-License-Identifier: Apache-2.0
#include "store/known_content.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "store/file_tree.h"
#include "store/open_beneath.h"

namespace mhub::hub {
namespace {

using registry::FileRecord;
using registry::Registry;

// The file of a row, open, if it is still what was verified.
UniqueFd open_unchanged(const Registry::Located& located, struct stat& info) {
  const auto directory = open_directory(located.directory, false);
  if (!directory) return {};
  auto fd = open_beneath(directory->get(), located.file.path, O_RDONLY);
  if (!fd || fstat(fd->get(), &info) != 0 || !looks_unchanged(located.file, info)) return {};
  return *std::move(fd);
}

Result<void> rename_to(int work_fd, const std::string& draft, int target_fd, const std::string& path) {
  MHUB_TRY(const ParentDirectory parent, make_parents_beneath(target_fd, path));
  if (renameat(work_fd, draft.c_str(), parent.fd.get(), parent.leaf.c_str()) == 0) {
    // Two names of one file: rename(2) then does nothing and leaves both.
    unlinkat(work_fd, draft.c_str(), 0);
    return sync_directory(parent.fd.get(), path);
  }
  const int error = errno;
  unlinkat(work_fd, draft.c_str(), 0);
  return disk_error("rename to", path, error);
}

}  // namespace

Result<void> refresh_linked_rows(Registry& registry, const std::string& sha256, const struct stat& before,
                                 const struct stat& after) {
  MHUB_TRY(const auto rows, registry.files_with_content(sha256));
  for (const Registry::Located& row : rows) {
    if (!looks_unchanged(row.file, before)) continue;
    FileRecord file = row.file;
    set_stat(file, after);
    MHUB_CHECK_OK(registry.update_file_stats(row.model_id, {file}));
  }
  return {};
}

Result<void> refresh_rows_of_inode(Registry& registry, const FileRecord& hashed) {
  MHUB_TRY(const auto rows, registry.files_with_content(hashed.sha256));
  for (const Registry::Located& row : rows) {
    struct stat info {};
    const std::string path = row.directory + "/" + row.file.path;
    if (row.file.inode != hashed.inode || lstat(path.c_str(), &info) != 0) continue;
    FileRecord file = row.file;
    set_stat(file, info);
    if (file.inode != row.file.inode || file.mtime_ns != row.file.mtime_ns || file.bytes != row.file.bytes) continue;
    MHUB_CHECK_OK(registry.update_file_stats(row.model_id, {file}));
  }
  return {};
}

Result<std::optional<FileRecord>> place_known_content(Registry& registry, const WantedContent& wanted, int work_fd,
                                                      int target_fd, Placement cheapest, std::stop_token stop) {
  MHUB_TRY(const auto known, registry.files_with_content(wanted.sha256));
  for (const Registry::Located& located : known) {
    if (located.file.bytes != wanted.bytes) continue;
    struct stat before {
    }, after{};
    const UniqueFd source = open_unchanged(located, before);
    if (!source) continue;
    const std::string draft = fmt::format("{}.known", wanted.sha256);
    unlinkat(work_fd, draft.c_str(), 0);
    MHUB_TRY(const PlacedFile placed, place_file(source.get(), located.file.path, work_fd, draft, stop, cheapest));
    if (placed.hash && placed.hash->sha256 != wanted.sha256) {  // bad on the disk: not to be spread
      unlinkat(work_fd, draft.c_str(), 0);
      continue;
    }
    MHUB_CHECK_OK(rename_to(work_fd, draft, target_fd, wanted.path));
    if (placed.how == Placement::kHardlink) {
      if (fstat(source.get(), &after) != 0) return disk_error("stat", wanted.path, errno);
      MHUB_CHECK_OK(refresh_linked_rows(registry, wanted.sha256, before, after));
    } else if (fstatat(target_fd, wanted.path.c_str(), &after, AT_SYMLINK_NOFOLLOW) != 0) {
      return disk_error("stat", wanted.path, errno);
    }
    FileRecord file = located.file;
    set_stat(file, after);
    file.path = wanted.path;
    file.git_sha1.clear();
    if (placed.hash) file.extents = placed.hash->extents;
    return std::optional(std::move(file));
  }
  return std::optional<FileRecord>();
}

}  // namespace mhub::hub
