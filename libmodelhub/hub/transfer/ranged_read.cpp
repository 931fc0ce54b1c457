// SPDX-License-Identifier: Apache-2.0
#include "transfer/ranged_read.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>

#include "net/url.h"
#include "transfer/response_check.h"

namespace mhub::hub {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kAtOnce = 8;

class PartSink final : public HttpSink {
 public:
  PartSink(const RangedRead& read, const RetryPolicy& policy) : read_(read), backoff_(policy) {
    bytes_ = std::min(read.bytes, read.file->bytes - std::min(read.offset, read.file->bytes));
    ended_ = bytes_ == 0;
  }
  void start(HttpTransport& transport, const HubApi& api) {
    HttpRequest request = api.file_request(*read_.file);
    range_ = HttpRange{read_.offset, read_.offset + bytes_ - 1};
    request.range = range_;
    body_.clear();
    error_.reset();
    running_ = true;
    id_ = transport.start(std::move(request), *this);
  }
  bool on_head(const HttpHead& head) override {
    head_ = head;
    const Answer answer = judge({read_.file->bytes, range_, ""}, head);
    good_ = answer == Answer::kBody || (answer == Answer::kWholeFile && read_.offset == 0);
    if (!good_) {
      const bool denied = answer == Answer::kDenied;
      error_ = Error{
          denied ? ErrorCode::kHubDenied : (answer == Answer::kGone ? ErrorCode::kHubNotFound : ErrorCode::kNetwork),
          fmt::format("read part of {} from {}: {}", printable(read_.file->path), redact_url(head.url),
                      describe(answer, head)),
          denied ? "the model may be gated or private: ask for access on the hub's page, or give --token"
                 : "check the endpoint, or download the whole file",
          ""};
    }
    return good_;
  }
  bool on_body(std::span<const std::byte> bytes) override {
    const size_t room = static_cast<size_t>(bytes_) - body_.size();
    body_.append(reinterpret_cast<const char*>(bytes.data()), std::min(room, bytes.size()));
    return body_.size() < bytes_;
  }
  void on_done(const HttpFailure* failure) override {
    running_ = false;
    ended_ = body_.size() == bytes_;
    if (ended_) return;
    const bool final = failure ? !failure->retryable : error_ && !is_retryable_status(head_.status);
    if (failure) error_ = failure->error;
    if (!error_) error_ = Error{ErrorCode::kNetwork, "the answer ended early", "check the network", ""};
    const auto delay = final ? std::nullopt : backoff_.next_delay(retry_after_seconds(head_));
    failed_ = !delay;
    if (delay)
      not_before_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(*delay));
  }
  void cancel(HttpTransport& transport) {
    if (running_) transport.cancel(id_);
  }
  bool waits(Clock::time_point now) const { return !running_ && !ended_ && !failed_ && now >= not_before_; }
  bool running() const { return running_; }
  bool ended() const { return ended_; }
  bool failed() const { return failed_; }
  const Error& error() const { return *error_; }
  std::string take() { return std::move(body_); }

 private:
  const RangedRead read_;
  Backoff backoff_;
  std::optional<HttpRange> range_;
  HttpTransport::Id id_ = 0;
  uint64_t bytes_ = 0;
  std::string body_;
  HttpHead head_;
  std::optional<Error> error_;
  bool good_ = false, running_ = false, ended_ = false, failed_ = false;
  Clock::time_point not_before_{};
};

}  // namespace

Result<std::vector<std::string>> read_ranges(HttpTransport& transport, const HubApi& api,
                                             const std::vector<RangedRead>& reads, RetryPolicy policy,
                                             std::stop_token stop) {
  std::vector<std::unique_ptr<PartSink>> parts;
  for (const RangedRead& read : reads) parts.push_back(std::make_unique<PartSink>(read, policy));
  std::optional<Error> error;
  for (;;) {
    size_t running = 0, open = 0;
    for (const auto& part : parts) {
      running += part->running() ? 1 : 0;
      open += part->ended() ? 0 : 1;
      if (part->failed() && !error) error = part->error();
    }
    if (stop.stop_requested() && !error)
      error = Error{ErrorCode::kInterrupted, "read from the hub: interrupted", "", ""};
    if (error || open == 0) break;
    const auto now = Clock::now();
    for (const auto& part : parts) {
      if (error || running >= kAtOnce) break;
      if (!part->waits(now)) continue;
      part->start(transport, api);
      ++running;
    }
    transport.poll(std::chrono::milliseconds(20));
  }
  if (error) {
    for (const auto& part : parts) part->cancel(transport);
    return *error;
  }
  std::vector<std::string> bodies;
  for (const auto& part : parts) bodies.push_back(part->take());
  return bodies;
}

}  // namespace mhub::hub
