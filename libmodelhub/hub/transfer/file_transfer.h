// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "remote/hub_api.h"
#include "transfer/file_hasher.h"
#include "transfer/file_source.h"
#include "transfer/partial_file.h"

namespace mhub::hub {

// One file under way: its partial, its hash, and the endpoints that its ranges come from.
class FileTransfer {
 public:
  // `api`: of the first source, number 0.
  static Result<std::unique_ptr<FileTransfer>> open(const HubApi& api, const RemoteFile& file, int work_fd,
                                                    WorkQueue& queue, std::stop_token stop);

  const RemoteFile& remote() const { return remote_; }
  PartialFile& partial() { return partial_; }
  FileHasher& hasher() { return hasher_; }
  bool has_hash() const { return !remote_.sha256.empty() || !remote_.git_sha1.empty(); }
  bool matches(const FileDigests& digests) const;

  // Ranges of one file may come from several endpoints: their listings name the same digest.
  const std::vector<FileSource>& sources() const { return sources_; }
  FileSource& source(size_t number);
  void add_source(size_t number, const HubApi& api, const RemoteFile& file);
  // No further requests to the others, and none will be added.
  void keep_only_first_source();
  void note_progress();

  // Server without (right) ranges: from now on one plain GET from the first byte.
  bool single_stream() const { return single_stream_; }
  void use_single_stream() { single_stream_ = true; }

  // Forgets all bytes and what was learnt.
  Result<void> start_over();
  // First mismatch: true, one more fetch. Second: false.
  bool allow_refetch() { return !std::exchange(refetched_, true); }
  bool allow_range_restart() { return !std::exchange(range_restarted_, true); }

  int active_requests = 0;
  uint64_t stream_high_water = 0;  // of single-stream tries: progress is going beyond it
  uint64_t reported = 0;           // progress told to the sink
  bool placing = false;

 private:
  FileTransfer(const HubApi& api, const RemoteFile& file, PartialFile partial, WorkQueue& queue, std::stop_token stop)
      : remote_(file),
        partial_(std::move(partial)),
        hasher_(queue, partial_.fd(), file, std::move(stop)),
        sources_{FileSource(0, api, file)} {}

  const RemoteFile remote_;
  PartialFile partial_;
  FileHasher hasher_;
  std::vector<FileSource> sources_;
  bool single_stream_ = false, refetched_ = false, range_restarted_ = false, one_source_ = false;
};

}  // namespace mhub::hub
