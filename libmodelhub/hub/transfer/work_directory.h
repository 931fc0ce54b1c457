// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

#include "mhub/base/result.h"
#include "store/unique_fd.h"

namespace mhub::hub {

// Where one process assembles the files of one target:
//   <root>/lock            flock: who works on this target
//   <root>/<writer>/...    that process's partial files and journals
// The lock spares work; safety does not depend on it: a writer touches its own directory only, takes over that of a
// dead one by a rename, and publishes verified files by renames.
class WorkDirectory {
 public:
  // Waits while another process holds the target (`on_wait` is told once who). kDisk, kInterrupted.
  static Result<WorkDirectory> acquire(const std::filesystem::path& root, std::stop_token stop,
                                       const std::function<void(const std::string&)>& on_wait);
  int fd() const { return writer_fd_.get(); }
  bool waited() const { return waited_; }
  // All is done: removes the root (if nobody else's things are in it).
  void remove();

 private:
  WorkDirectory(std::filesystem::path root, UniqueFd lock, bool waited)
      : root_(std::move(root)), lock_(std::move(lock)), waited_(waited) {}
  Result<void> enter_writer_directory();

  std::filesystem::path root_, writer_;
  UniqueFd lock_, writer_fd_;
  bool waited_ = false;
};

// Whether a directory of this name below a work directory's root belongs to another living process of this boot.
bool is_living_writer(const std::string& name);

}  // namespace mhub::hub
