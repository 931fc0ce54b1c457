// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "json_fields.h"
#include "openai_types.h"

namespace mhub::http {

// response_format, structured_outputs and the older guided_* fields, which together may ask for one form of the answer.
// The form itself is judged when it is compiled.
Result<void> read_constraint(const JsonFields& json, GenerationFields& to);

// tool_choice: which calls the answer must be. Sets the constraint that makes it so.
// `tools` is null where there are none.
Result<void> read_tool_choice(const JsonFields& json, const OrderedJson& tools, ChatRequest& to);

}  // namespace mhub::http
