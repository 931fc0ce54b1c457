// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "code_points.h"
#include "mhub/base/result.h"

namespace mhub::constraint {

using ExprId = uint32_t;
using RuleId = uint32_t;

// What regexes, schemas and EBNF all become: rules over expressions that share one arena. Making an expression beyond
// the limit sets overflowed(), and nothing more is added: whoever builds checks it once at the end.
class Grammar {
 public:
  static constexpr size_t kMaxExprs = 400'000;
  static constexpr uint32_t kNoMax = UINT32_MAX;

  enum class Kind : uint8_t { kBytes, kChars, kSequence, kChoice, kRepeat, kRule };
  struct Expr {
    Kind kind = Kind::kBytes;
    std::string bytes;          // kBytes ("" matches nothing more)
    CodePointSet chars;         // kChars
    std::vector<ExprId> parts;  // kSequence, kChoice (none: matches nothing), kRepeat: one
    uint32_t min = 0, max = 0;  // kRepeat
    RuleId rule = 0;            // kRule
  };

  ExprId bytes(std::string_view text);
  ExprId empty() { return bytes(""); }
  ExprId chars(CodePointSet set);
  ExprId sequence(std::vector<ExprId> parts);
  ExprId choice(std::vector<ExprId> parts);
  ExprId repeat(ExprId part, uint32_t min, uint32_t max);
  ExprId optional(ExprId part) { return repeat(part, 0, 1); }
  ExprId call(RuleId rule);

  RuleId add_rule(std::string name);
  void define(RuleId rule, ExprId body) { rules_[rule].body = body; }
  void set_root(RuleId rule) { root_ = rule; }

  struct Rule {
    std::string name;
    std::optional<ExprId> body;
  };
  const Expr& expr(ExprId id) const { return exprs_[id]; }
  const std::vector<Rule>& rules() const { return rules_; }
  RuleId root() const { return root_; }
  bool overflowed() const { return overflowed_; }

 private:
  ExprId add(Expr expr);
  std::vector<Expr> exprs_;
  std::vector<Rule> rules_;
  RuleId root_ = 0;
  bool overflowed_ = false;
};

// A constraint that cannot be taken: kInvalidRequest.
Error refused(std::string message, std::string hint = "");

}  // namespace mhub::constraint
