// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "request_delta.h"
#include "token_channel.h"

namespace mhub::engine {

// The open streams by request. Thread-safe.
class StreamRegistry {
 public:
  // A stream whose destruction before its end calls on_drop(id).
  std::unique_ptr<TokenStream> open(RequestId id, std::function<void(RequestId)> on_drop);
  // To a stream that was closed or dropped meanwhile: nothing happens.
  void deliver(RequestId id, TokenDelta delta);
  void close(RequestId id);
  // Ends every stream with the error.
  void fail_all(const Error& error);
  size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<RequestId, std::shared_ptr<TokenChannel>> open_;
};

}  // namespace mhub::engine
