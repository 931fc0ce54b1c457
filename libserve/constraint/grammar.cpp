// SPDX-License-Identifier: Apache-2.0
#include "grammar.h"

namespace mhub::constraint {

ExprId Grammar::add(Expr expr) {
  if (exprs_.size() >= kMaxExprs) {
    overflowed_ = true;
    return 0;
  }
  exprs_.push_back(std::move(expr));
  return static_cast<ExprId>(exprs_.size() - 1);
}

ExprId Grammar::bytes(std::string_view text) {
  Expr expr;
  expr.kind = Kind::kBytes;
  expr.bytes = text;
  return add(std::move(expr));
}

ExprId Grammar::chars(CodePointSet set) {
  Expr expr;
  expr.kind = Kind::kChars;
  expr.chars = std::move(set);
  return add(std::move(expr));
}

ExprId Grammar::sequence(std::vector<ExprId> parts) {
  if (parts.size() == 1) return parts.front();
  Expr expr;
  expr.kind = Kind::kSequence;
  expr.parts = std::move(parts);
  return add(std::move(expr));
}

ExprId Grammar::choice(std::vector<ExprId> parts) {
  if (parts.size() == 1) return parts.front();
  Expr expr;
  expr.kind = Kind::kChoice;
  expr.parts = std::move(parts);
  return add(std::move(expr));
}

ExprId Grammar::repeat(ExprId part, uint32_t min, uint32_t max) {
  if (min == 1 && max == 1) return part;
  Expr expr;
  expr.kind = Kind::kRepeat;
  expr.parts = {part};
  expr.min = min;
  expr.max = max;
  return add(std::move(expr));
}

ExprId Grammar::call(RuleId rule) {
  Expr expr;
  expr.kind = Kind::kRule;
  expr.rule = rule;
  return add(std::move(expr));
}

RuleId Grammar::add_rule(std::string name) {
  rules_.push_back({std::move(name), std::nullopt});
  return static_cast<RuleId>(rules_.size() - 1);
}

Error refused(std::string message, std::string hint) {
  return {ErrorCode::kInvalidRequest, std::move(message), std::move(hint), ""};
}

}  // namespace mhub::constraint
