// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "mhub/base/result.h"
#include "remote/hub_api.h"
#include "transfer/work_queue.h"

namespace mhub::hub {

struct FileDigests {
  std::string sha256, git_sha1;  // git_sha1 "" unless the hub gave one to compare with
  std::string extents;           // store/extent_hash.h: what `verify --repair` finds bad ranges by
};

// Hashes a file while it arrives: follows the in-order prefix on the work queue, out of the page cache, one job at a
// time. Driven by the loop thread.
class FileHasher {
 public:
  FileHasher(WorkQueue& queue, int fd, const RemoteFile& file, std::stop_token stop);
  ~FileHasher();
  FileHasher(const FileHasher&) = delete;
  FileHasher& operator=(const FileHasher&) = delete;
  // [0, prefix_end) is in the file. `on_finished` comes (on the loop thread) once all bytes are hashed.
  void advance(uint64_t prefix_end, std::function<void(const Result<FileDigests>&)> on_finished);
  void restart();  // from the first byte; what runs for the old bytes is forgotten

 private:
  struct Progress;
  void post_job();
  void job_done();

  WorkQueue& queue_;
  int fd_;
  std::string path_;
  uint64_t bytes_;
  bool with_git_sha1_;
  std::stop_token stop_;
  std::shared_ptr<Progress> progress_;
  uint64_t prefix_end_ = 0;
  std::function<void(const Result<FileDigests>&)> on_finished_;
};

}  // namespace mhub::hub
