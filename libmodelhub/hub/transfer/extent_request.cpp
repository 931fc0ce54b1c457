// SPDX-License-Identifier: Apache-2.0
#include "transfer/extent_request.h"

#include <algorithm>

#include "net/explanation.h"

namespace mhub::hub {
namespace {

// A killed process fetches again what was not recorded: keep that small, and the journal of huge files short.
constexpr uint64_t kRecordBytes = 256u << 10;
constexpr uint64_t kRecordBytesHuge = 1u << 20;
constexpr uint64_t kHugeFile = uint64_t{16} << 30;
constexpr auto kRecordInterval = std::chrono::milliseconds(500);
constexpr auto kRateWarmUp = std::chrono::seconds(1);
constexpr auto kRateWindow = std::chrono::seconds(5);

}  // namespace

ExtentRequest::ExtentRequest(PendingExtent pending, std::function<void(ExtentRequest&)> on_end)
    : pending_(std::move(pending)),
      on_end_(std::move(on_end)),
      position_(pending_.extent.begin),
      recorded_(pending_.extent.begin),
      started_(Clock::now()),
      recorded_at_(started_),
      rate_mark_(started_) {
  const bool whole_file = pending_.extent == Extent{0, file().remote().bytes};
  const bool small = pending_.extent.bytes() <= (8u << 20);
  if (!file().single_stream() && !(whole_file && small)) {
    range_ = HttpRange{pending_.extent.begin, pending_.extent.end - 1};
  }
}

void ExtentRequest::start(HttpTransport& transport) {
  ++file().active_requests;
  id_ = transport.start(source().request(range_), *this);
}

void ExtentRequest::cancel(HttpTransport& transport) {
  transport.cancel(id_);
  --file().active_requests;
  record_progress();
}

bool ExtentRequest::on_head(const HttpHead& head) {
  head_ = head;
  answer_ = judge(source().expected(range_), head);
  if (answer_ == Answer::kWholeFile && position_ == 0 && file().active_requests == 1) {
    // All of it comes anyway and nobody else works on this file.
    answer_ = Answer::kBody;
    file().use_single_stream();
    pending_.extent.end = file().remote().bytes;
  }
  if (answer_ != Answer::kBody) return wants_explanation();
  source().learn(head);
  return true;
}

bool ExtentRequest::wants_explanation() const {
  switch (*answer_) {
    case Answer::kDenied:
    case Answer::kGone:
    case Answer::kBusy:
    case Answer::kRefused:
      return head_.content_length() && *head_.content_length() <= kMaxExplanationBytes;  // not an endless one
    default:
      return false;
  }
}

std::string ExtentRequest::said() const {
  return explanation(head_, error_body_);
}

bool ExtentRequest::on_body(std::span<const std::byte> bytes) {
  if (answer_ != Answer::kBody) {
    error_body_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return error_body_.size() < kMaxExplanationBytes;
  }
  received_ += bytes.size();
  const uint64_t room = remaining();
  if (bytes.size() > room && pending_.extent.end == file().remote().bytes) {
    answer_ = Answer::kWrongLength;
    return false;
  }
  const auto wanted = bytes.first(static_cast<size_t>(std::min<uint64_t>(bytes.size(), room)));
  if (const auto written = file().partial().write(position_, wanted); !written) {
    disk_failure_ = written.error();
    return false;
  }
  position_ += wanted.size();
  const uint64_t step = file().remote().bytes > kHugeFile ? kRecordBytesHuge : kRecordBytes;
  if (position_ - recorded_ >= step || Clock::now() - recorded_at_ >= kRecordInterval) {
    if (!record_progress()) return false;
  }
  return wanted.size() == bytes.size();  // the end may have been given away
}

void ExtentRequest::on_done(const HttpFailure* failure) {
  const bool judged = answer_ && *answer_ != Answer::kBody;  // what came of the explanation does not matter
  if (failure && !judged) failure_ = *failure;
  --file().active_requests;
  record_progress();
  on_end_(*this);
}

bool ExtentRequest::record_progress() {
  recorded_at_ = Clock::now();
  if (position_ == recorded_) return true;
  const auto done = file().partial().record({recorded_, position_});
  recorded_ = position_;
  if (!done && !disk_failure_) disk_failure_ = done.error();
  return done.has_value();
}

Extent ExtentRequest::split_off(uint64_t begin) {
  const Extent rest{begin, pending_.extent.end};
  pending_.extent.end = begin;
  return rest;
}

double ExtentRequest::average_rate() const {
  return static_cast<double>(received_) /
         std::max(1e-6, std::chrono::duration<double>(Clock::now() - started_).count());
}

double ExtentRequest::seconds_left() const {
  if (Clock::now() - started_ < kRateWarmUp) return 0;
  return static_cast<double>(remaining()) / std::max(1.0, average_rate());
}

std::optional<double> ExtentRequest::take_rate(Clock::time_point now) {
  if (now - rate_mark_ < kRateWindow) return std::nullopt;
  const double rate =
      static_cast<double>(received_ - rate_mark_bytes_) / std::chrono::duration<double>(now - rate_mark_).count();
  rate_mark_ = now;
  rate_mark_bytes_ = received_;
  return rate;
}

}  // namespace mhub::hub
