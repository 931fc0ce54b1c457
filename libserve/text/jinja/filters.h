// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "runtime.h"

namespace mhub::text::jinja {

using Filter = Value (*)(Runtime& runtime, const Value& value, const Arguments& arguments);

// nullptr when there is no such filter.
Filter find_text_filter(std::string_view name);
Filter find_sequence_filter(std::string_view name);
Filter find_prose_filter(std::string_view name);

// value|name(arguments). An unknown name fails when it is reached, as in the reference.
Value apply_filter(Runtime& runtime, std::string_view name, const Value& value, const Arguments& arguments);
// value is name(arguments)
bool apply_test(Runtime& runtime, std::string_view name, const Value& value, const Arguments& arguments);

}  // namespace mhub::text::jinja
