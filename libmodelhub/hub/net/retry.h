// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include "net/http_transport.h"

namespace mhub::hub {

// Whether and when to try again. Only tries without progress count; full jitter, doubling from first_delay to 30 s.
struct RetryPolicy {
  int retries = 8;
  double first_delay_seconds = 0.5;
  double longest_wait_seconds = 300;  // a server that asks for more (Retry-After) is given up
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

// 408, 425, 429, 500, 502, 503, 504.
bool is_retryable_status(int status);
// Seconds since 1970 of an HTTP date; nullopt when it is none.
std::optional<int64_t> http_date(const std::string& text);
// Seconds from `Retry-After` (number or HTTP date, seen from the answer's own Date) or `RateLimit: ...;t=N`.
std::optional<double> retry_after_seconds(const HttpHead& head);

}  // namespace mhub::hub
