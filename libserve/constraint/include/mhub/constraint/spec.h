// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace mhub::constraint {

// What the text of an answer must be, as a request says it.
struct Spec {
  enum class Kind : uint8_t {
    kNone,
    kJsonSchema,  // text: the schema
    kRegex,       // text: the expression; the whole answer matches it
    kGrammar,     // text: EBNF with a rule `root`
    kChoice,      // text: a JSON list of strings, one of which is the answer
  };
  Kind kind = Kind::kNone;
  std::string text;
  // Of kJsonSchema.
  bool any_whitespace = true;      // between the tokens of JSON; false: ", " and ": " only
  bool forbid_additional = false;  // objects hold declared properties only, whatever the schema says
  std::string whitespace_pattern;  // a regex of the whitespace between tokens; "" = none given
  auto operator<=>(const Spec&) const = default;
};

}  // namespace mhub::constraint
