// SPDX-License-Identifier: Apache-2.0
#include "chunked_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace mhub::httpd {
namespace {
constexpr size_t kMaxSizeDigits = 8;
Error malformed() {
  return {ErrorCode::kInvalidRequest, "HTTP request refused: malformed chunked body", "", ""};
}
}  // namespace

Result<size_t> ChunkedDecoder::decode(std::string_view input, std::string& body, size_t max_body_bytes) {
  size_t used = 0;
  while (state_ != State::kDone) {
    const std::string_view rest = input.substr(used);
    if (state_ == State::kSize) {
      const size_t end = rest.find('\n');
      if (end == std::string_view::npos) {
        if (rest.size() > kMaxSizeDigits + 1) return malformed();
        return used;
      }
      if (end < 2 || end > kMaxSizeDigits + 1 || rest[end - 1] != '\r') return malformed();
      const char* last = rest.data() + end - 1;
      const auto [parsed, ec] = std::from_chars(rest.data(), last, left_, 16);
      if (ec != std::errc() || parsed != last || rest[0] == '-') return malformed();
      if (left_ > max_body_bytes - std::min(max_body_bytes, body.size())) {
        return Error{ErrorCode::kTooLarge, fmt::format("request body is over {} bytes", max_body_bytes),
                     "send less in one request", ""};
      }
      used += end + 1;
      state_ = left_ == 0 ? State::kLastEnd : State::kData;
    } else if (state_ == State::kData) {
      if (rest.empty()) return used;
      const size_t n = std::min<uint64_t>(left_, rest.size());
      body.append(rest, 0, n);
      used += n;
      left_ -= n;
      if (left_ == 0) state_ = State::kDataEnd;
    } else {
      if (!std::string_view("\r\n").starts_with(rest.substr(0, 2))) return malformed();
      if (rest.size() < 2) return used;
      used += 2;
      state_ = state_ == State::kDataEnd ? State::kSize : State::kDone;
    }
  }
  return used;
}

}  // namespace mhub::httpd
