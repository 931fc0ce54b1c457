// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "remote/hub_api.h"
#include "transfer/file_hasher.h"
#include "transfer/partial_file.h"
#include "transfer/response_check.h"

namespace mhub::hub {

// One file under way: its partial, its hash, and what the server was seen to do with it.
class FileTransfer {
 public:
  static Result<std::unique_ptr<FileTransfer>> open(const HubApi& api, const RemoteFile& file, int work_fd,
                                                    WorkQueue& queue, std::stop_token stop);

  const RemoteFile& remote() const { return remote_; }
  PartialFile& partial() { return partial_; }
  FileHasher& hasher() { return hasher_; }
  bool has_hash() const { return !remote_.sha256.empty() || !remote_.git_sha1.empty(); }
  bool matches(const FileDigests& digests) const;

  HttpRequest request(std::optional<HttpRange> range) const;
  ExpectedBody expected(std::optional<HttpRange> range) const;
  // From a good answer: its validator, and where the bytes lie (further parts skip the hub).
  void learn(const HttpHead& head);
  // The signed address has run out: ask the hub again. False when that was tried too often without progress.
  bool renew_address();
  void note_progress() { renewals_ = 0; }

  // Server without (right) ranges: from now on one plain GET from the first byte.
  bool single_stream() const { return single_stream_; }
  void use_single_stream() { single_stream_ = true; }

  // Forgets all bytes and what was learnt.
  Result<void> start_over();
  // The server's file is another one now. False when it keeps changing.
  bool note_change();
  // First mismatch: true, one more fetch. Second: false.
  bool allow_refetch() { return !std::exchange(refetched_, true); }
  bool allow_range_restart() { return !std::exchange(range_restarted_, true); }

  int active_requests = 0;
  uint64_t stream_high_water = 0;  // of single-stream tries: progress is going beyond it
  uint64_t reported = 0;           // progress told to the sink
  bool placing = false;

 private:
  FileTransfer(const HubApi& api, const RemoteFile& file, PartialFile partial, WorkQueue& queue, std::stop_token stop)
      : api_(api), remote_(file), partial_(std::move(partial)), hasher_(queue, partial_.fd(), file, std::move(stop)) {}

  const HubApi& api_;
  const RemoteFile remote_;
  PartialFile partial_;
  FileHasher hasher_;
  std::string etag_, resolved_url_;
  bool single_stream_ = false, refetched_ = false, range_restarted_ = false, ignore_etag_ = false;
  int renewals_ = 0, changes_ = 0;
};

}  // namespace mhub::hub
