// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "mhub/base/result.h"
#include "store/unique_fd.h"

namespace mhub::hub {

// Files below a directory descriptor: no symbolic link is followed and nothing outside the directory can be reached,
// whatever the relative path says (openat2, or a walk with O_NOFOLLOW where the kernel has none).
// Errors: kDisk with errno's text; kPolicy when a link or ".." is in the way.

// With parents. Each new directory is synced into the one above it: it is there after a power cut.
Result<void> make_directories(const std::filesystem::path& dir);

// Opens `dir`, creating it and its parents when `create` (new directories 0700 at the leaf).
Result<UniqueFd> open_directory(const std::filesystem::path& dir, bool create);

// `flags` as for open(2); O_CLOEXEC, O_NOFOLLOW and O_NONBLOCK are added. With `regular_only` (the default) anything
// but a regular file is refused by looking at the descriptor.
Result<UniqueFd> open_beneath(int dir_fd, std::string_view relative, int flags, mode_t mode = 0644,
                              bool regular_only = true);

// The walk that open_beneath falls back to; flags as given.
Result<UniqueFd> walk_beneath(int dir_fd, const std::string& relative, int flags, mode_t mode);

// Creates the directories that lead to `relative` and returns the last of them with the leaf name: for renameat/linkat.
struct ParentDirectory {
  UniqueFd fd;
  std::string leaf;
};
Result<ParentDirectory> make_parents_beneath(int dir_fd, std::string_view relative);

Result<void> sync_directory(int dir_fd, const std::string& what);
Result<void> sync_directory(const std::filesystem::path& dir);

// "action path: strerror" as kDisk, with a hint that fits errno (space, permission, read-only).
Error disk_error(const std::string& action, const std::string& path, int error_number);

}  // namespace mhub::hub
