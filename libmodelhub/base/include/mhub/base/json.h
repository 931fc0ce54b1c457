// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "mhub/base/result.h"

namespace mhub {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

struct JsonLimits {
  size_t max_bytes = 8u << 20;
  size_t max_depth = 64;        // checked before a DOM exists: nlohmann overflows the stack on deep values
  size_t max_values = 1'000'000;
};

// Parses one whole JSON document. Errors (kInvalidRequest) name the byte offset: not UTF-8, malformed, too deep, too
// many values, duplicate keys, trailing text.
Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {});
// The same, keeping key order (chat messages and tools reach templates in the client's order).
Result<OrderedJson> parse_ordered_json(std::string_view text, const JsonLimits& limits = {});

// Compact dump; invalid UTF-8 becomes U+FFFD instead of an exception.
std::string dump_json(const Json& value, int indent = -1);
std::string dump_json(const OrderedJson& value, int indent = -1);

}  // namespace mhub
