// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mhub/base/result.h"
#include "uri.h"

namespace mhub::httpd {

struct HeadLimits {
  size_t max_header_bytes = 16 << 10;  // header fields, without the request line
  size_t max_headers = 100;
  size_t max_uri_bytes = 8 << 10;
};

enum class BodyFraming { kNone, kLength, kChunked };

// Request line and header fields after every strictness rule.
struct RequestHead {
  std::string method;
  RequestTarget target;
  std::vector<std::pair<std::string, std::string>> headers;
  bool http_1_0 = false;
  bool keep_alive = true;
  bool expect_continue = false;
  BodyFraming framing = BodyFraming::kNone;
  uint64_t content_length = 0;  // with kLength
};

// Finds the end of a head that arrives in pieces. Bare CR or LF, NUL and other first bytes than a method's are refused
// as soon as they are seen, so a client that speaks something else gets its answer at once.
class HeadScanner {
 public:
  explicit HeadScanner(const HeadLimits& limits) : limits_(limits) {}
  // Size of the head with its empty line once it is complete. `buffer` grows at its end between calls.
  // Errors: kInvalidRequest, kUriTooLong, kHeaderTooLarge.
  Result<std::optional<size_t>> scan(std::string_view buffer);

 private:
  HeadLimits limits_;
  size_t scanned_ = 0;
  size_t line_begin_ = 0;
  size_t request_line_end_ = 0;  // 0 = not seen yet
};

// `head`: what HeadScanner measured. Errors: kInvalidRequest, kHeaderTooLarge, kUnsupportedMediaType (content coding).
Result<RequestHead> parse_request_head(std::string_view head, const HeadLimits& limits);

bool equals_ignoring_case(std::string_view a, std::string_view b);

}  // namespace mhub::httpd
