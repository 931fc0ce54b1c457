// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mhub/base/result.h"

namespace mhub::httpd {

// The chunked coding, incrementally. Sizes are plain hexadecimal digits; chunk extensions and trailers are refused
// (no client of this server sends them, and they are where request smuggling lives).
class ChunkedDecoder {
 public:
  // Appends decoded bytes to `body` and returns how many bytes of `input` are used up. kInvalidRequest when malformed,
  // kTooLarge when the body would pass `max_body_bytes`.
  Result<size_t> decode(std::string_view input, std::string& body, size_t max_body_bytes);
  bool done() const { return state_ == State::kDone; }

 private:
  enum class State { kSize, kData, kDataEnd, kLastEnd, kDone };
  State state_ = State::kSize;
  uint64_t left_ = 0;  // of the current chunk
};

}  // namespace mhub::httpd
