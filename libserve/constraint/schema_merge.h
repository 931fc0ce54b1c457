// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "mhub/base/json.h"
#include "mhub/base/result.h"

namespace mhub::constraint {

// How a keyword of JSON schema is treated.
enum class Keyword { kAnnotation, kDefinitions, kSupported, kUnsupported };
Keyword classify(std::string_view keyword);

// The schema that says what both say. Errors: keywords whose meanings do not simply add up.
Result<OrderedJson> merge_schemas(const OrderedJson& a, const OrderedJson& b);

}  // namespace mhub::constraint
