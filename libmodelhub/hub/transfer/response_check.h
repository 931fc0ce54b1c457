// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/http_transport.h"

namespace mhub::hub {

// What a request for bytes of a file may get as answer.
struct ExpectedBody {
  uint64_t file_bytes = 0;
  std::optional<HttpRange> range;
  std::string etag;  // strong one seen before; "" = none
};

enum class Answer {
  kBody,           // the bytes asked for follow
  kWholeFile,      // 200 to a range: the whole file follows from its start
  kWrongRange,     // 206 for other bytes, or multipart
  kWrongLength,    // not the length that the listing says
  kChanged,        // another ETag than before
  kRangeNotThere,  // 416
  kDenied,         // 401, 403
  kGone,           // 404, 410
  kBusy,           // worth another try
  kRefused,        // any other status
};
Answer judge(const ExpectedBody& expected, const HttpHead& head);
std::string describe(Answer answer, const HttpHead& head);

struct ContentRange {
  uint64_t first = 0, last = 0;
  std::optional<uint64_t> total;
};
std::optional<ContentRange> parse_content_range(std::string_view text);
// The ETag when it is a strong one, else "".
std::string strong_etag(const HttpHead& head);

}  // namespace mhub::hub
