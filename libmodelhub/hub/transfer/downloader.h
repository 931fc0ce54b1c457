// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/hub/model_library.h"
#include "mhub/registry/registry.h"
#include "net/http_transport.h"
#include "net/retry.h"
#include "remote/hub_api.h"
#include "remote/transfer_source.h"
#include "transfer/extent_request.h"
#include "transfer/file_transfer.h"
#include "transfer/source_choice.h"
#include "transfer/work_queue.h"

namespace mhub::hub {

struct TransferConfig {
  int max_workers = 8;  // connections over all files together
  RetryPolicy retry;
  uint64_t smallest_part = 16u << 20, largest_part = 64u << 20;
};

struct TransferResult {
  std::vector<registry::FileRecord> files;  // placed, in the order of the request
  uint64_t bytes_network = 0, bytes_reused = 0;
};

// Fetches files in ranged parts over few connections, one loop on the calling thread; hashing and syncing happen on
// a work queue. Every file ends verified under its final name, or the whole run ends with an Error and everything
// fetched stays in the work directory for the next run. run() once.
class Downloader {
 public:
  // `more_sources`: further endpoints with the same bytes, as they are found; may be empty.
  Downloader(HttpTransport& transport, const HubApi& api, const TransferConfig& config, ProgressSink& progress,
             SourceSupply more_sources = {});
  ~Downloader();
  Result<TransferResult> run(const std::vector<RemoteFile>& files, int work_fd, int target_fd, std::stop_token stop);

 private:
  using Clock = std::chrono::steady_clock;

  void open_files();
  void take_new_sources();
  void offer_source(FileTransfer& file, size_t number) const;
  void plan_file(FileTransfer& file);
  void start_requests();
  bool steal();
  void settle_ended();
  void settle(ExtentRequest& request);
  void settle_answer(ExtentRequest& request);
  void retry(ExtentRequest& request, const Error& reason, std::optional<double> asked = {});
  bool try_elsewhere(ExtentRequest& request, const std::string& reason, bool for_good);
  void heed_limit(size_t source, const HttpHead& head);
  void requeue(ExtentRequest& request, double delay_seconds);
  void restart_file(FileTransfer& file);
  void cancel_requests(const FileTransfer* file);  // nullptr: all
  void advance(FileTransfer& file);
  void on_hashed(FileTransfer& file, const Result<FileDigests>& digests);
  void place(FileTransfer& file, const FileDigests& digests);
  void place_batch();
  void place_what_is_whole();
  void post_placing(std::vector<PartialFile::Verified> batch, std::vector<FileTransfer*> files);
  void drop_slow_requests();
  void mark_durable();
  void report_progress();
  void tell_retry(const FileTransfer& file, const std::string& reason);
  void fail(Error error);
  std::chrono::milliseconds wait_time() const;

  HttpTransport& transport_;
  const HubApi& api_;
  const TransferConfig config_;
  ProgressSink& progress_;
  const SourceSupply more_sources_;

  // Constant while running.
  const std::vector<RemoteFile>* wanted_ = nullptr;
  int work_fd_ = -1, target_fd_ = -1;
  std::stop_token stop_;

  std::vector<TransferSource> sources_;  // number 1 and up; 0 is api_
  SourceChoice choice_;
  size_t next_to_open_ = 0;
  std::vector<std::unique_ptr<FileTransfer>> open_;
  std::deque<PendingExtent> pending_;
  std::vector<std::unique_ptr<ExtentRequest>> active_;
  std::vector<ExtentRequest*> ended_;  // of active_, not settled yet
  const size_t max_open_;              // files at once
  int connection_limit_;               // lowered when the hub says "too many", raised again slowly
  int good_since_limit_ = 0;
  std::deque<double> recent_rates_;  // of the last whole extents, bytes per second
  Clock::time_point durable_at_;
  uint64_t received_since_durable_ = 0;
  // Small files that are verified and wait to be placed together.
  std::vector<PartialFile::Verified> batch_;
  std::vector<FileTransfer*> batch_files_;
  Clock::time_point batch_since_{};
  std::map<std::string, registry::FileRecord> placed_;
  TransferResult result_;
  std::optional<Error> error_;
  WorkQueue queue_;  // last: its threads end before what they use
};

}  // namespace mhub::hub
