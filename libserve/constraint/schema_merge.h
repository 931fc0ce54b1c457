// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "mhub/base/json.h"
#include "mhub/base/result.h"

namespace mhub::constraint {

// How a keyword of JSON schema is treated.
enum class Keyword { kAnnotation, kDefinitions, kSupported, kUnsupported };
Keyword classify(std::string_view keyword);

// What a copy of the schema takes, and about what it costs.
size_t copied_bytes(const OrderedJson& schema);

// The schema that says what both say; of `b` only supported keywords are looked at. Errors: keywords whose meanings do
// not simply add up.
Result<OrderedJson> merge_schemas(const OrderedJson& a, const OrderedJson& b);

}  // namespace mhub::constraint
