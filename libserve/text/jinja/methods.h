// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "runtime.h"

namespace mhub::text::jinja {

// The methods of strings, lists and dicts. Those that would change a value are refused by the sandbox.
bool has_method(const Value& self, std::string_view name);
bool is_unsafe_method(const Value& self, std::string_view name);
// Precondition: has_method(self, name).
Value call_method(Runtime& runtime, const Value& self, std::string_view name, const Arguments& arguments);

bool has_text_method(std::string_view name);
Value call_text_method(Runtime& runtime, const Text& self, std::string_view name, const Arguments& arguments);

// The argument as text; fails when it is missing or something else.
const Text& text_argument(const Arguments& arguments, size_t position, std::string_view name,
                          std::string_view function);

}  // namespace mhub::text::jinja
