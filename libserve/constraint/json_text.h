// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "grammar.h"
#include "mhub/base/json.h"
#include "mhub/constraint/spec.h"

namespace mhub::constraint {

// The parts of JSON text that do not depend on a schema, as expressions of one grammar.
class JsonText {
 public:
  explicit JsonText(Grammar& to) : to_(to) {}
  // Whitespace and separators as the spec wants them. Errors: the pattern.
  Result<void> set_whitespace(const Spec& spec);

  ExprId space() { return to_.call(space_); }  // where JSON allows whitespace
  ExprId comma() { return to_.call(comma_); }
  ExprId colon() { return to_.call(colon_); }
  // { between }, [ between ]; whitespace inside is part of it.
  ExprId braces(ExprId between) { return enclosed("{", between, "}"); }
  ExprId brackets(ExprId between) { return enclosed("[", between, "]"); }

  // A string of min to max characters.
  ExprId string(uint32_t min, uint32_t max);
  ExprId quoted(ExprId inner) { return to_.sequence({to_.bytes("\""), inner, to_.bytes("\"")}); }
  // The characters of a set as they stand in a string: escaped where they must be, always in the same way.
  static ExprId spell(Grammar& to, const CodePointSet& set);
  // A string without escapes that is none of these.
  ExprId string_other_than(const std::vector<std::string>& names);
  // The value itself, with the separators of this text.
  ExprId literal(const OrderedJson& value);

  // Any value; any object.
  ExprId any() { return to_.call(any_rule()); }
  ExprId any_object();
  // Items with commas between them.
  ExprId list(ExprId item, uint32_t min, uint32_t max);

 private:
  ExprId enclosed(std::string_view open, ExprId between, std::string_view close);
  RuleId any_rule();
  ExprId string_char();

  Grammar& to_;
  RuleId space_ = 0, comma_ = 0, colon_ = 0;
  std::optional<RuleId> any_, char_;
};

}  // namespace mhub::constraint
