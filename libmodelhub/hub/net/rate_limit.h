// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace mhub::hub {

// A bucket that all connections draw from. What a read took beyond it is paid back before the next one.
class RateLimit {
 public:
  using Clock = std::chrono::steady_clock;
  explicit RateLimit(uint64_t bytes_per_second) : rate_(static_cast<double>(bytes_per_second)) {}
  bool active() const { return rate_ > 0; }
  bool may_read(Clock::time_point now) {
    if (!active()) return true;
    const double burst = rate_ / 8;
    left_ = std::min(burst, left_ + rate_ * std::chrono::duration<double>(now - filled_at_).count());
    filled_at_ = now;
    return left_ >= 0;
  }
  void took(uint64_t bytes) {
    if (active()) left_ -= static_cast<double>(bytes);
  }

 private:
  double rate_, left_ = 0;
  Clock::time_point filled_at_ = Clock::now();
};

}  // namespace mhub::hub
