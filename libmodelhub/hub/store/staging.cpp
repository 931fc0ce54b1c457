// SPDX-License-Identifier: Apache-2.0
#include "store/staging.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "store/open_beneath.h"

namespace mhub::hub {
namespace fs = std::filesystem;
namespace {

Result<void> sync_tree(const fs::path& root) {
  std::vector<fs::path> directories{root};
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(root, error); !error && it != fs::end(it); it.increment(error)) {
    if (it->is_directory() && !it->is_symlink()) directories.push_back(it->path());
  }
  if (error) return disk_error("read directory", root.string(), error.value());
  for (auto directory = directories.rbegin(); directory != directories.rend(); ++directory) {
    MHUB_CHECK_OK(sync_directory(*directory));
  }
  return {};
}

}  // namespace

Result<StagingDirectory> StagingDirectory::create(const StoreLayout& layout, const std::string& purpose) {
  MHUB_TRY(const UniqueFd partial, open_directory(layout.partial(), true));
  std::string pattern = (layout.partial() / fmt::format("{}-{}-XXXXXX", purpose, getpid())).string();
  if (!mkdtemp(pattern.data())) return disk_error("create directory", pattern, errno);
  return adopt(pattern);
}

Result<StagingDirectory> StagingDirectory::adopt(const fs::path& directory) {
  MHUB_TRY(UniqueFd fd, open_directory(directory, false));
  return StagingDirectory(directory, std::move(fd));
}

StagingDirectory::StagingDirectory(StagingDirectory&& other) noexcept
    : path_(other.release()), fd_(std::move(other.fd_)) {}

StagingDirectory::~StagingDirectory() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

Result<void> StagingDirectory::publish(const fs::path& target) {
  MHUB_CHECK_OK(sync_tree(path_));
  MHUB_CHECK_OK(make_directories(target.parent_path()));
  bool exchanged = false;
  if (renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) != 0) {
    const int first_error = errno;
    exchanged = (first_error == EEXIST || first_error == ENOTEMPTY) &&
                renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0;
    // File systems without renameat2's flags: plain rename, onto nothing or an empty directory.
    if (!exchanged && rename(path_.c_str(), target.c_str()) != 0)
      return disk_error("rename to", target.string(), errno);
  }
  MHUB_CHECK_OK(sync_directory(target.parent_path()));
  if (!exchanged) path_.clear();  // else the destructor removes what was replaced
  return {};
}

fs::path StagingDirectory::release() {
  return std::exchange(path_, fs::path());
}

}  // namespace mhub::hub
