// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "value.h"

namespace mhub::text::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;
struct Statement;
using Body = std::vector<std::unique_ptr<const Statement>>;

struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr star, double_star;  // *args, **kwargs
};

namespace expr {
struct Constant {
  Value value;
};
struct Name {
  std::string name;
};
struct Sequence {
  std::vector<ExpressionPtr> items;
  bool tuple;
};
struct Mapping {
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> items;
};
struct Attribute {
  ExpressionPtr object;
  std::string name;
};
struct Subscript {
  ExpressionPtr object, index;
};
struct Slice {
  ExpressionPtr object, start, stop, step;
};
struct Call {
  ExpressionPtr callee;
  CallArguments arguments;
};
// operand is null in {% filter %} blocks and block assignments.
struct Filter {
  ExpressionPtr operand;
  std::string name;
  CallArguments arguments;
};
struct Test {
  ExpressionPtr operand;
  std::string name;
  CallArguments arguments;
};
struct Unary {
  char op;
  ExpressionPtr operand;
};  // - + !
struct Binary {
  std::string op;
  ExpressionPtr left, right;
};  // + - * / // % **
struct Concat {
  std::vector<ExpressionPtr> parts;
};
struct Logic {
  bool is_and;
  ExpressionPtr left, right;
};
struct Compare {
  ExpressionPtr first;
  std::vector<std::pair<std::string, ExpressionPtr>> rest;  // == != < <= > >= in, not in
};
struct Conditional {
  ExpressionPtr test, then, otherwise;
};  // otherwise may be null
}  // namespace expr

struct Expression {
  int line;
  int depth;  // nesting below it
  std::variant<expr::Constant, expr::Name, expr::Sequence, expr::Mapping, expr::Attribute, expr::Subscript, expr::Slice,
               expr::Call, expr::Filter, expr::Test, expr::Unary, expr::Binary, expr::Concat, expr::Logic,
               expr::Compare, expr::Conditional>
      node;
};

// What an assignment or a loop binds: a name, namespace.attribute, or a tuple of targets.
struct Target {
  std::string name, attribute;
  std::vector<Target> items;  // not empty: a tuple
};

struct MacroDefinition {
  std::string name;
  std::vector<std::string> parameters;
  std::vector<ExpressionPtr> defaults;  // of the last parameters
  Body body;
  int line = 0;
};

namespace stmt {
struct Data {
  Text text;
};
struct Output {
  ExpressionPtr value;
};
struct If {
  std::vector<std::pair<ExpressionPtr, Body>> branches;
  Body otherwise;
};
struct For {
  Target target;
  ExpressionPtr iterable, filter;
  bool recursive;
  Body body, otherwise;
};
struct Set {
  Target target;
  ExpressionPtr value;
};
struct SetBlock {
  Target target;
  ExpressionPtr filter;
  Body body;
};  // filter may be null
struct Macro {
  std::shared_ptr<const MacroDefinition> definition;
};
struct CallBlock {
  ExpressionPtr call;
  std::shared_ptr<const MacroDefinition> caller;
};
struct FilterBlock {
  ExpressionPtr filter;
  Body body;
};
struct With {
  std::vector<std::pair<Target, ExpressionPtr>> bindings;
  Body body;
};
struct Scope {
  Body body;
};  // generation: its body, as it is
struct Break {};
struct Continue {};
}  // namespace stmt

struct Statement {
  int line;
  std::variant<stmt::Data, stmt::Output, stmt::If, stmt::For, stmt::Set, stmt::SetBlock, stmt::Macro, stmt::CallBlock,
               stmt::FilterBlock, stmt::With, stmt::Scope, stmt::Break, stmt::Continue>
      node;
};

}  // namespace mhub::text::jinja
