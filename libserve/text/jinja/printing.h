// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "value.h"

namespace mhub::text::jinja {

// str(value): what {{ value }} prints.
Text to_text(Budget& budget, const Value& value);
// repr(value): how it prints inside a list.
Text repr(Budget& budget, const Value& value);
std::string repr(double number);
std::string to_decimal(Int number);

struct JsonStyle {
  int indent = -1;  // below 0: one line
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::string item_separator = ", ", key_separator = ": ";
};
// json.dumps(value). Fails for what JSON cannot hold.
Text to_json(Budget& budget, const Value& value, const JsonStyle& style);

}  // namespace mhub::text::jinja
