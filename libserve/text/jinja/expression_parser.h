// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ast.h"
#include "token_stream.h"

namespace mhub::text::jinja {

// Expressions by precedence: conditional, or, and, not, comparison, + -, ~, * / // %, **, unary, postfix, filters and
// tests.
class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  ExpressionPtr parse_expression(bool with_condition = true);
  // A comma makes a tuple.
  ExpressionPtr parse_tuple(bool with_condition = true);
  // name, name.attribute (with_attribute) or a tuple of names.
  Target parse_target(bool with_attribute);
  // |filter|filter on nothing, as {% filter %} and block assignments have it; the first name is next.
  ExpressionPtr parse_filter_chain();
  CallArguments parse_call_arguments();

 private:
  // Source recursion and the depth of what was built are both limited.
  class Nesting;
  template <typename Node>
  ExpressionPtr make(int line, Node node, std::initializer_list<const Expression*> children);
  int depth_of(const CallArguments& arguments) const;
  ExpressionPtr make_at_depth(int line, int depth, decltype(Expression::node) node);

  ExpressionPtr parse_condition();
  ExpressionPtr parse_or();
  ExpressionPtr parse_and();
  ExpressionPtr parse_not();
  ExpressionPtr parse_compare();
  ExpressionPtr parse_sum();
  ExpressionPtr parse_concat();
  ExpressionPtr parse_product();
  ExpressionPtr parse_power();
  ExpressionPtr parse_unary(bool with_filter = true);
  ExpressionPtr parse_primary();
  ExpressionPtr parse_name();
  ExpressionPtr parse_number();
  ExpressionPtr parse_strings();
  ExpressionPtr parse_parentheses();
  ExpressionPtr parse_list();
  ExpressionPtr parse_dict();
  ExpressionPtr parse_postfix(ExpressionPtr operand);
  ExpressionPtr parse_filters_and_tests(ExpressionPtr operand);
  ExpressionPtr parse_subscript(ExpressionPtr operand);
  ExpressionPtr parse_subscript_index(ExpressionPtr operand, int line);
  ExpressionPtr parse_call(ExpressionPtr callee);
  ExpressionPtr parse_filter(ExpressionPtr operand);
  ExpressionPtr parse_test(ExpressionPtr operand);
  ExpressionPtr binary(int line, std::string op, ExpressionPtr left, ExpressionPtr right);
  bool at_tuple_end() const;
  std::string dotted_name();

  TokenStream& tokens_;
  int nesting_ = 0;
};

}  // namespace mhub::text::jinja
