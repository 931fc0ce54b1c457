// SPDX-License-Identifier: Apache-2.0
// Expressions.
#include "evaluator.h"

#include "filters.h"
#include "globals.h"
#include "operators.h"
#include "printing.h"

namespace mhub::text::jinja {

const Value* Scope::find(std::string_view name) const {
  for (const Scope* scope = this; scope; scope = scope->parent_) {
    for (const auto& [key, value] : scope->names_) {
      if (key == name) return &value;
    }
  }
  return nullptr;
}

void Scope::set(std::string_view name, Value value) {
  for (auto& [key, present] : names_) {
    if (key == name) {
      present = std::move(value);
      return;
    }
  }
  names_.emplace_back(name, std::move(value));
}

std::vector<std::pair<std::string, Value>> Scope::captured() const {
  std::vector<std::pair<std::string, Value>> out;
  for (const Scope* scope = this; scope && scope->parent_; scope = scope->parent_) {
    for (const auto& name : scope->names_) {
      bool hidden = false;
      for (const auto& inner : out) hidden = hidden || inner.first == name.first;
      if (!hidden) out.push_back(name);
    }
  }
  return out;
}

Value Evaluator::evaluate(const Expression& expression, Scope& scope) {
  runtime_.budget().step();
  const auto level = runtime_.budget().evaluation();
  try {
    return std::visit([&](const auto& node) { return operator_value(node, scope); }, expression.node);
  } catch (TemplateError& error) {
    if (error.line == 0) error.line = expression.line;
    throw;
  }
}

Value Evaluator::operator_value(const expr::Constant& e, Scope&) {
  return e.value;
}

Value Evaluator::operator_value(const expr::Name& e, Scope& scope) {
  if (const Value* value = scope.find(e.name)) return *value;
  if (auto global = find_global(e.name)) return std::move(*global);
  return Value::undefined("'" + e.name + "' is undefined");
}

Value Evaluator::operator_value(const expr::Sequence& e, Scope& scope) {
  std::vector<Value> items;
  items.reserve(e.items.size());
  for (const auto& item : e.items) items.push_back(evaluate(item, scope));
  return Value::list(std::move(items), e.tuple ? List::Kind::kTuple : List::Kind::kList);
}

Value Evaluator::operator_value(const expr::Mapping& e, Scope& scope) {
  std::vector<Dict::Item> items;
  items.reserve(e.items.size());
  for (const auto& [key, value] : e.items) {
    Value k = evaluate(key, scope);
    items.emplace_back(std::move(k), evaluate(value, scope));
  }
  return Value::dict(std::move(items));
}

Value Evaluator::operator_value(const expr::Attribute& e, Scope& scope) {
  return get_attribute(runtime_, evaluate(e.object, scope), e.name);
}

Value Evaluator::operator_value(const expr::Subscript& e, Scope& scope) {
  const Value object = evaluate(e.object, scope);
  return get_item(runtime_, object, evaluate(e.index, scope));
}

Value Evaluator::operator_value(const expr::Slice& e, Scope& scope) {
  const Value object = evaluate(e.object, scope);
  const Value start = evaluate(e.start, scope), stop = evaluate(e.stop, scope), step = evaluate(e.step, scope);
  return get_slice(runtime_, object, start, stop, step);
}

Value Evaluator::operator_value(const expr::Call& e, Scope& scope) {
  const Value callee = evaluate(e.callee, scope);
  return runtime_.call(callee, evaluate_arguments(e.arguments, scope));
}

Value Evaluator::operator_value(const expr::Filter& e, Scope& scope) {
  const Value operand = evaluate(e.operand, scope);
  return apply_filter(runtime_, e.name, operand, evaluate_arguments(e.arguments, scope));
}

Value Evaluator::operator_value(const expr::Test& e, Scope& scope) {
  const Value operand = evaluate(e.operand, scope);
  return apply_test(runtime_, e.name, operand, evaluate_arguments(e.arguments, scope));
}

Value Evaluator::operator_value(const expr::Unary& e, Scope& scope) {
  const Value operand = evaluate(e.operand, scope);
  return e.op == '!' ? Value(!operand.truthy()) : negate(operand, e.op);
}

Value Evaluator::operator_value(const expr::Binary& e, Scope& scope) {
  const Value left = evaluate(e.left, scope);
  return binary(runtime_, e.op, left, evaluate(e.right, scope));
}

Value Evaluator::operator_value(const expr::Concat& e, Scope& scope) {
  Text out;
  for (const auto& part : e.parts) {
    append(out, to_text(runtime_.budget(), evaluate(part, scope)));
  }
  runtime_.budget().text(out.size());
  return out;
}

Value Evaluator::operator_value(const expr::Logic& e, Scope& scope) {
  Value left = evaluate(e.left, scope);
  if (left.truthy() != e.is_and) return left;
  return evaluate(e.right, scope);
}

Value Evaluator::operator_value(const expr::Compare& e, Scope& scope) {
  Value left = evaluate(e.first, scope);
  for (const auto& [op, operand] : e.rest) {
    Value right = evaluate(operand, scope);
    if (!compare_by(runtime_, op, left, right)) return false;
    left = std::move(right);
  }
  return true;
}

Value Evaluator::operator_value(const expr::Conditional& e, Scope& scope) {
  if (evaluate(e.test, scope).truthy()) return evaluate(e.then, scope);
  if (e.otherwise) return evaluate(e.otherwise, scope);
  return Value::undefined("the inline if-expression evaluated to false and no else section was defined.");
}

Arguments Evaluator::evaluate_arguments(const CallArguments& arguments, Scope& scope) {
  Arguments out;
  for (const auto& e : arguments.positional) out.positional.push_back(evaluate(e, scope));
  if (arguments.star) {
    for (Value& value : iterate(runtime_.budget(), evaluate(arguments.star, scope)))
      out.positional.push_back(std::move(value));
  }
  for (const auto& [name, e] : arguments.named) out.named.emplace_back(name, evaluate(e, scope));
  if (arguments.double_star) {
    const Value extra = evaluate(arguments.double_star, scope);
    if (!extra.as_dict()) fail(ErrorKind::kType, "argument after ** must be a mapping");
    for (const auto& [key, value] : extra.as_dict()->items()) {
      if (!key.as_text()) fail(ErrorKind::kType, "keywords must be strings");
      out.named.emplace_back(key.as_text()->bytes(), value);
    }
  }
  return out;
}

// The innermost filter of a chain has no operand: it is applied to `value`.
Value Evaluator::filter_chain(const Expression& filter, const Value& value, Scope& scope) {
  const auto& node = std::get<expr::Filter>(filter.node);
  const Value operand = node.operand ? filter_chain(*node.operand, value, scope) : value;
  return apply_filter(runtime_, node.name, operand, evaluate_arguments(node.arguments, scope));
}

}  // namespace mhub::text::jinja
