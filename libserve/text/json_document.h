// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

#include "json_fields.h"
#include "mhub/base/result.h"

namespace mhub::text {

struct JsonDocument {
  simdjson::dom::parser parser;
  simdjson::dom::element root;  // an object
};

// `file` names the text in errors. Errors: kBadModel.
Result<std::unique_ptr<JsonDocument>> parse_document(std::string_view text, std::string_view file);

}  // namespace mhub::text
