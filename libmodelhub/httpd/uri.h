// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mhub/base/result.h"

namespace mhub::httpd {

// A request target in origin form ("/v1/models?x=1"), decoded exactly once. Routing and authorization both use `path`.
struct RequestTarget {
  std::string raw_path;  // as sent, without the query
  std::string path;      // decoded: no empty, "." or ".." segment, no control character, no backslash, valid UTF-8
  std::vector<std::pair<std::string, std::string>> query;
};

// Errors: kInvalidRequest for anything that has no single canonical reading.
Result<RequestTarget> parse_target(std::string_view target);

// "%41" -> "A"; nullopt for a broken escape or an escaped or raw control character.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);

}  // namespace mhub::httpd
