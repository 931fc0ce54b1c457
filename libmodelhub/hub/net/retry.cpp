// SPDX-License-Identifier: Apache-2.0
#include "net/retry.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>

#include "net/curl_library.h"

namespace mhub::hub {
namespace {

constexpr double kLongestBackoff = 30;
constexpr int kTimesUntilBelieved = 4;

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return std::max(value, 0.0);
}

}  // namespace

Backoff::Backoff(const RetryPolicy& policy, uint64_t seed) : policy_(policy), random_(seed) {}

std::optional<double> Backoff::next_delay(std::optional<double> asked) {
  if (failures_ >= policy_.retries) return std::nullopt;
  if (asked && *asked > policy_.longest_wait_seconds) return std::nullopt;
  const double ceiling = std::min(kLongestBackoff, std::ldexp(policy_.first_delay_seconds, std::min(failures_, 20)));
  ++failures_;
  const double delay = std::uniform_real_distribution<double>(ceiling / 10, ceiling)(random_);
  return std::max(delay, asked.value_or(0));
}

bool RepeatedAnswer::again(int status, std::string_view said) {
  const bool explained = status == 500 && !said.empty();
  times_ = explained && said == said_ ? times_ + 1 : 1;
  said_ = explained ? said : "";
  return explained && times_ >= kTimesUntilBelieved;
}

bool is_retryable_status(int status) {
  switch (status) {
    case 408:
    case 425:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
      return true;
    default:
      return false;
  }
}

std::optional<int64_t> http_date(const std::string& text) {
  const time_t when = curl_library().getdate(text.c_str(), nullptr);
  return when < 0 ? std::nullopt : std::optional(static_cast<int64_t>(when));
}

std::optional<double> retry_after_seconds(const HttpHead& head) {
  if (const std::string* text = head.header("retry-after")) {
    if (const auto seconds = number(*text)) return seconds;
    const auto when = http_date(*text);
    if (!when) return std::nullopt;
    const std::string* date = head.header("date");  // the server's clock, not ours
    const int64_t now = (date ? http_date(*date) : std::nullopt).value_or(std::time(nullptr));
    return std::max(static_cast<double>(*when - now), 0.0);
  }
  if (const std::string* text = head.header("ratelimit")) {
    const size_t at = text->find("t=");
    if (at == std::string::npos) return std::nullopt;
    const std::string_view rest = std::string_view(*text).substr(at + 2);
    const auto seconds = number(rest.substr(0, rest.find_first_not_of("0123456789")));
    return seconds ? std::optional(*seconds + 1) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace mhub::hub
