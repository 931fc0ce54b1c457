// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "runtime.h"

namespace mhub::text::jinja {

// a.name: a method or attribute first, then the key. A missing one is undefined.
Value get_attribute(Runtime& runtime, const Value& object, std::string_view name);
// a[key]: the item first, then a method of that name.
Value get_item(Runtime& runtime, const Value& object, const Value& key);
// a[start:stop:step]; none where left out.
Value get_slice(Runtime& runtime, const Value& object, const Value& start, const Value& stop, const Value& step);
// Dotted path as in map(attribute="a.b.0").
Value get_path(Runtime& runtime, const Value& object, const Value& path);

// + - * / // % ** as in Python, on numbers, strings and lists.
Value binary(Runtime& runtime, std::string_view op, const Value& left, const Value& right);
Value negate(const Value& value, char op);
bool contains(Runtime& runtime, const Value& container, const Value& item);
// == != < <= > >= in, not in
bool compare_by(Runtime& runtime, std::string_view op, const Value& left, const Value& right);

}  // namespace mhub::text::jinja
