// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>

#include "mhub/engine/generator.h"

namespace mhub::engine {

// One stream's way from the engine to its reader. The writer never waits: what the reader has not taken yet is merged
// into one delta, which the request's own length bounds. Thread-safe.
class TokenChannel {
 public:
  void push(TokenDelta delta);  // nothing after the delta with `finish`
  std::optional<TokenDelta> pop(std::chrono::milliseconds timeout);
  bool finished() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::optional<TokenDelta> pending_;
  bool finished_ = false;
};

}  // namespace mhub::engine
