// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "net/http_transport.h"

namespace mhub::hub {

// Whether and when to try again. Only tries without progress count; full jitter, doubling from first_delay to 30 s.
struct RetryPolicy {
  int retries = 8;
  double first_delay_seconds = 0.5;
  double longest_wait_seconds = 300;  // a server that asks for more (Retry-After) is given up
  // Told what failed and how long the wait is, before each wait for an API of a hub. A download says so; other
  // commands print one line only.
  std::function<void(const std::string& what)> on_wait = {};
};

class Backoff {
 public:
  explicit Backoff(const RetryPolicy& policy, uint64_t seed = std::random_device{}());
  void reset() { failures_ = 0; }  // there was progress
  // Seconds to wait before the next try, nullopt when the budget is used up. `asked` comes from Retry-After.
  std::optional<double> next_delay(std::optional<double> asked = {});
  int failures() const { return failures_; }

 private:
  RetryPolicy policy_;
  std::mt19937_64 random_;
  int failures_ = 0;
};

// A server that answers 500 with the same explanation each time does not mean "later".
class RepeatedAnswer {
 public:
  // True when waiting longer is of no use. `said` is what the body explains, "" = nothing.
  bool again(int status, std::string_view said);

 private:
  std::string said_;
  int times_ = 0;
};

// 408, 425, 429, 500, 502, 503, 504.
bool is_retryable_status(int status);
// Seconds since 1970 of an HTTP date; nullopt when it is none.
std::optional<int64_t> http_date(const std::string& text);
// Seconds from `Retry-After` (number or HTTP date, seen from the answer's own Date) or `RateLimit: ...;t=N`.
std::optional<double> retry_after_seconds(const HttpHead& head);

}  // namespace mhub::hub
