// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "net/http_transport.h"
#include "net/retry.h"
#include "transfer/file_transfer.h"
#include "transfer/source_choice.h"

namespace mhub::hub {

// Bytes still to be fetched: a part of a file with its own retry budget.
struct PendingExtent {
  FileTransfer* file = nullptr;
  Extent extent;
  Backoff backoff;
  std::chrono::steady_clock::time_point not_before{};
  RepeatedAnswer repeated{};
  size_t source = 0;  // that is asked
  FailedSources failed_at{};
};

// One request for one extent: checks the answer, writes and journals the bytes.
class ExtentRequest final : public HttpSink {
 public:
  using Clock = std::chrono::steady_clock;
  ExtentRequest(PendingExtent pending, std::function<void(ExtentRequest&)> on_end);
  void start(HttpTransport& transport);
  void cancel(HttpTransport& transport);  // journals what came; no on_end after this

  bool on_head(const HttpHead& head) override;
  bool on_body(std::span<const std::byte> bytes) override;
  void on_done(const HttpFailure* failure) override;

  FileTransfer& file() { return *pending_.file; }
  FileSource& source() { return file().source(pending_.source); }
  PendingExtent& pending() { return pending_; }
  uint64_t position() const { return position_; }
  uint64_t remaining() const { return pending_.extent.end - position_; }
  bool ranged() const { return range_.has_value(); }
  bool complete() const { return answer_ == Answer::kBody && position_ == pending_.extent.end; }
  uint64_t received() const { return received_; }
  // Gives away the end of the extent.
  Extent split_off(uint64_t begin);

  std::optional<Answer> answer() const { return answer_; }
  const HttpHead& head() const { return head_; }
  std::string said() const;  // by the server, about why it does not send the bytes; "" = nothing
  const std::optional<HttpFailure>& failure() const { return failure_; }
  const std::optional<Error>& disk_failure() const { return disk_failure_; }

  double average_rate() const;  // bytes per second since the start
  double seconds_left() const;  // at that rate; 0 while the request is too young to say
  // The same since the last call; nullopt while that is too short ago to say.
  std::optional<double> take_rate(Clock::time_point now);

 private:
  bool record_progress();
  bool wants_explanation() const;

  PendingExtent pending_;
  std::function<void(ExtentRequest&)> on_end_;
  std::optional<HttpRange> range_;
  HttpTransport::Id id_ = 0;
  uint64_t position_, recorded_;
  uint64_t received_ = 0, rate_mark_bytes_ = 0;
  Clock::time_point started_, recorded_at_, rate_mark_;
  std::optional<Answer> answer_;
  HttpHead head_;
  std::string error_body_;
  std::optional<HttpFailure> failure_;
  std::optional<Error> disk_failure_;
};

}  // namespace mhub::hub
