// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ast.h"
#include "runtime.h"

namespace mhub::text::jinja {

// Names bound in a block; look-ups go outward, to the globals last.
class Scope {
 public:
  explicit Scope(Scope* parent) : parent_(parent) {}
  const Value* find(std::string_view name) const;
  void set(std::string_view name, Value value);
  Scope* parent() const { return parent_; }
  // Bindings from here outward, without the outermost scope; the inner ones hide the outer.
  std::vector<std::pair<std::string, Value>> captured() const;

 private:
  Scope* parent_;
  std::vector<std::pair<std::string, Value>> names_;
};

// Runs a parsed template. One rendering, one thread.
class Evaluator {
 public:
  Evaluator(Runtime& runtime, Scope& top) : runtime_(runtime), top_(top) {}

  void run(const Body& body, Text& out) { execute(body, top_, out); }

 private:
  class Macro;
  class Loop;
  class RecursiveLoop;
  enum class Flow { kNext, kBreak, kContinue };

  Flow execute(const Body& body, Scope& scope, Text& out);
  Flow execute(const Statement& statement, Scope& scope, Text& out);
  Flow run_if(const stmt::If& node, Scope& scope, Text& out);
  void run_for(const stmt::For& node, Scope& scope, Text& out);
  void run_loop(const stmt::For& node, const Value& iterable, Scope& scope, Text& out, int depth);
  std::vector<Value> loop_items(const stmt::For& node, const Value& iterable, Scope& scope);
  void run_set_block(const stmt::SetBlock& node, Scope& scope);
  void run_call_block(const stmt::CallBlock& node, Scope& scope, Text& out);
  void append(Text& out, const Text& text);
  void bind(const Target& target, const Value& value, Scope& scope);
  Value make_macro(std::shared_ptr<const MacroDefinition> definition, Scope& scope);

  Value evaluate(const Expression& expression, Scope& scope);
  Value evaluate(const ExpressionPtr& expression, Scope& scope) {
    return expression ? evaluate(*expression, scope) : Value();
  }
  Value operator_value(const expr::Constant& e, Scope& scope);
  Value operator_value(const expr::Name& e, Scope& scope);
  Value operator_value(const expr::Sequence& e, Scope& scope);
  Value operator_value(const expr::Mapping& e, Scope& scope);
  Value operator_value(const expr::Attribute& e, Scope& scope);
  Value operator_value(const expr::Subscript& e, Scope& scope);
  Value operator_value(const expr::Slice& e, Scope& scope);
  Value operator_value(const expr::Call& e, Scope& scope);
  Value operator_value(const expr::Filter& e, Scope& scope);
  Value operator_value(const expr::Test& e, Scope& scope);
  Value operator_value(const expr::Unary& e, Scope& scope);
  Value operator_value(const expr::Binary& e, Scope& scope);
  Value operator_value(const expr::Concat& e, Scope& scope);
  Value operator_value(const expr::Logic& e, Scope& scope);
  Value operator_value(const expr::Compare& e, Scope& scope);
  Value operator_value(const expr::Conditional& e, Scope& scope);
  Arguments evaluate_arguments(const CallArguments& arguments, Scope& scope);
  Value filter_chain(const Expression& filter, const Value& value, Scope& scope);

  Runtime& runtime_;
  Scope& top_;
};

}  // namespace mhub::text::jinja
