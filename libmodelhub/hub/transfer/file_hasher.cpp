// SPDX-License-Identifier: Apache-2.0
#include "transfer/file_hasher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "store/extent_hash.h"
#include "store/open_beneath.h"
#include "store/sha256.h"
#include "store/unique_fd.h"

namespace mhub::hub {
namespace {
constexpr uint64_t kStep = 1u << 20;  // not worth a job below this, unless it is the end
constexpr uint64_t kLongestJob = 64u << 20;
}  // namespace

// Of one pass over the file. Touched by the running job only while `running`.
struct FileHasher::Progress {
  Progress(int the_fd, bool with_git_sha1, uint64_t bytes) : fd(fcntl(the_fd, F_DUPFD_CLOEXEC, 0)) {
    if (with_git_sha1) git_sha1.emplace(bytes);
  }
  UniqueFd fd;
  Sha256 sha256;
  std::optional<GitBlobSha1> git_sha1;
  ExtentHasher extents;
  uint64_t hashed = 0;
  std::optional<Error> error;
  bool running = false, finished = false;
  FileHasher* owner = nullptr;  // nullptr: forgotten

  void hash_to(uint64_t end, const std::string& path, const std::stop_token& stop) {
    std::vector<std::byte> buffer(kStep);
    while (hashed < end) {
      if (stop.stop_requested()) {
        error = Error{ErrorCode::kInterrupted, fmt::format("hash {}: interrupted", path), "", ""};
        return;
      }
      const size_t want = static_cast<size_t>(std::min<uint64_t>(buffer.size(), end - hashed));
      const ssize_t n = pread(fd.get(), buffer.data(), want, static_cast<off_t>(hashed));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        error = disk_error("read", path, n < 0 ? errno : EIO);
        return;
      }
      const std::span<const std::byte> bytes(buffer.data(), static_cast<size_t>(n));
      sha256.update(bytes);
      extents.update(bytes);
      if (git_sha1) git_sha1->update(bytes);
      hashed += bytes.size();
    }
  }
};

FileHasher::FileHasher(WorkQueue& queue, int fd, const RemoteFile& file, std::stop_token stop)
    : queue_(queue),
      fd_(fd),
      path_(file.path),
      bytes_(file.bytes),
      with_git_sha1_(!file.git_sha1.empty()),
      stop_(std::move(stop)),
      progress_(std::make_shared<Progress>(fd, with_git_sha1_, file.bytes)) {
  progress_->owner = this;
}

FileHasher::~FileHasher() {
  progress_->owner = nullptr;
}

void FileHasher::restart() {
  progress_->owner = nullptr;
  progress_ = std::make_shared<Progress>(fd_, with_git_sha1_, bytes_);
  progress_->owner = this;
  prefix_end_ = 0;
}

void FileHasher::advance(uint64_t prefix_end, std::function<void(const Result<FileDigests>&)> on_finished) {
  prefix_end_ = prefix_end;
  on_finished_ = std::move(on_finished);
  post_job();
}

void FileHasher::post_job() {
  if (progress_->running || progress_->finished) return;
  const uint64_t begin = progress_->hashed;
  if (prefix_end_ < bytes_ && prefix_end_ < begin + kStep) return;
  const uint64_t end = std::min(prefix_end_, begin + kLongestJob);
  progress_->running = true;
  queue_.post([progress = progress_, end, path = path_, stop = stop_] { progress->hash_to(end, path, stop); },
              [progress = progress_] {
                progress->running = false;
                if (progress->owner) progress->owner->job_done();
              });
}

void FileHasher::job_done() {
  if (!progress_->error && progress_->hashed < bytes_) {
    post_job();
    return;
  }
  progress_->finished = true;
  if (progress_->error) {
    on_finished_(*progress_->error);
  } else {
    on_finished_(FileDigests{progress_->sha256.finish(), progress_->git_sha1 ? progress_->git_sha1->finish() : "",
                             progress_->extents.finish()});
  }
}

}  // namespace mhub::hub
