// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "mhub/base/result.h"
#include "store/layout.h"
#include "store/unique_fd.h"

namespace mhub::hub {

// A directory under partial/ that becomes a model's directory in one rename, or vanishes.
class StagingDirectory {
 public:
  static Result<StagingDirectory> create(const StoreLayout& layout, const std::string& purpose);
  // Takes over a directory on the store's file system; it vanishes too unless published.
  static Result<StagingDirectory> adopt(const std::filesystem::path& directory);
  ~StagingDirectory();
  StagingDirectory(StagingDirectory&& other) noexcept;
  StagingDirectory& operator=(StagingDirectory&&) = delete;
  int fd() const { return fd_.get(); }
  const std::filesystem::path& path() const { return path_; }
  // Syncs every directory, renames to `target` (replacing what is there) and syncs its parents. Files are synced by
  // who wrote them.
  Result<void> publish(const std::filesystem::path& target);
  // The directory stays where it is and is no longer ours.
  std::filesystem::path release();

 private:
  StagingDirectory(std::filesystem::path path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  std::filesystem::path path_;  // "" once published or released
  UniqueFd fd_;
};

}  // namespace mhub::hub
