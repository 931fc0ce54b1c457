// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "evaluator.h"
#include "printing.h"

namespace mhub::text::jinja {

// A macro sees the top of the template as it is when called, and what surrounded its definition as it was then.
class Evaluator::Macro final : public Object {
 public:
  Macro(Evaluator& evaluator, std::shared_ptr<const MacroDefinition> definition,
        std::vector<std::pair<std::string, Value>> captured)
      : evaluator_(evaluator),
        definition_(std::move(definition)),
        captured_(std::move(captured)),
        name_(Value::text(definition_->name)) {}

  std::string_view type_name() const override { return "Macro"; }
  bool callable() const override { return true; }
  const Value* attribute(std::string_view name) override { return name == "name" ? &name_ : nullptr; }

  Value call(Runtime& runtime, const Arguments& arguments) override {
    const auto level = runtime.budget().call();
    Scope outer(&evaluator_.top_);
    for (const auto& [name, value] : captured_) outer.set(name, value);
    Scope scope(&outer);
    bind(runtime, arguments, scope);
    Text out;
    evaluator_.execute(definition_->body, scope, out);
    runtime.budget().text(out.size());
    return out;
  }

 private:
  void bind(Runtime&, const Arguments& arguments, Scope& scope) {
    const auto& parameters = definition_->parameters;
    const size_t first_default = parameters.size() - definition_->defaults.size();
    for (size_t i = 0; i < parameters.size(); ++i) {
      const Value* given = arguments.get(i, parameters[i]);
      if (given) {
        scope.set(parameters[i], *given);
      } else if (i >= first_default) {
        scope.set(parameters[i], evaluator_.evaluate(definition_->defaults[i - first_default], scope));
      } else {
        scope.set(parameters[i], Value::undefined("parameter '" + parameters[i] + "' was not provided"));
      }
    }
    std::vector<Value> more;
    for (size_t i = parameters.size(); i < arguments.positional.size(); ++i) more.push_back(arguments.positional[i]);
    std::vector<Dict::Item> named;
    for (const auto& [name, value] : arguments.named) {
      if (std::find(parameters.begin(), parameters.end(), name) != parameters.end()) continue;
      if (name == "caller") {
        scope.set(name, value);
      } else {
        named.emplace_back(Value::text(name), value);
      }
    }
    scope.set("varargs", Value::list(std::move(more), List::Kind::kTuple));
    scope.set("kwargs", Value::dict(std::move(named)));
  }

  Evaluator& evaluator_;
  std::shared_ptr<const MacroDefinition> definition_;
  std::vector<std::pair<std::string, Value>> captured_;
  Value name_;
};

// The `loop` variable.
class Evaluator::Loop final : public Object {
 public:
  Loop(Evaluator& evaluator, const stmt::For* node, Scope* scope, std::vector<Value> items, int depth)
      : evaluator_(evaluator), node_(node), scope_(scope), items_(std::move(items)), depth_(depth) {}

  std::string_view type_name() const override { return "LoopContext"; }
  bool callable() const override { return true; }
  const std::vector<Value>& items() const { return items_; }
  void advance(size_t index) { index_ = index; }
  // The loop is left: it may not be entered again through a name that kept it.
  void leave() { node_ = nullptr; }

  const Value* attribute(std::string_view name) override {
    const auto i = static_cast<int64_t>(index_), n = static_cast<int64_t>(items_.size());
    if (name == "index") return keep(Value::integer(i + 1));
    if (name == "index0") return keep(Value::integer(i));
    if (name == "revindex") return keep(Value::integer(n - i));
    if (name == "revindex0") return keep(Value::integer(n - i - 1));
    if (name == "first") return keep(i == 0);
    if (name == "last") return keep(i + 1 == n);
    if (name == "length") return keep(Value::integer(n));
    if (name == "depth") return keep(Value::integer(depth_ + 1));
    if (name == "depth0") return keep(Value::integer(depth_));
    if (name == "previtem") return keep(i > 0 ? items_[index_ - 1] : Value::undefined("there is no previous item"));
    if (name == "nextitem") return keep(i + 1 < n ? items_[index_ + 1] : Value::undefined("there is no next item"));
    if (name == "cycle") return keep(std::shared_ptr<Object>(std::make_shared<Cycle>(index_)));
    return nullptr;
  }

  // loop(items) renders the body of a recursive loop again.
  Value call(Runtime& runtime, const Arguments& arguments) override {
    if (!node_ || !node_->recursive)
      fail(ErrorKind::kType, "The loop must have the 'recursive' marker to be called recursively.");
    if (arguments.positional.size() != 1) fail(ErrorKind::kType, "loop() takes one argument");
    const auto level = runtime.budget().call();
    Text out;
    evaluator_.run_loop(*node_, arguments.positional[0], *scope_, out, depth_ + 1);
    runtime.budget().text(out.size());
    return out;
  }

 private:
  class Cycle final : public Object {
   public:
    explicit Cycle(size_t index) : index_(index) {}
    std::string_view type_name() const override { return "method"; }
    bool callable() const override { return true; }
    Value call(Runtime&, const Arguments& arguments) override {
      if (arguments.positional.empty()) fail(ErrorKind::kType, "no items for cycling given");
      return arguments.positional[index_ % arguments.positional.size()];
    }

   private:
    size_t index_;
  };

  const Value* keep(Value value) {
    kept_ = std::move(value);
    return &kept_;
  }

  Evaluator& evaluator_;
  const stmt::For* node_;
  Scope* scope_;
  std::vector<Value> items_;
  int depth_;
  size_t index_ = 0;
  Value kept_;
};

Evaluator::Flow Evaluator::execute(const Body& body, Scope& scope, Text& out) {
  const auto level = runtime_.budget().evaluation();
  for (const auto& statement : body) {
    runtime_.budget().step();
    const Flow flow = execute(*statement, scope, out);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

void Evaluator::append(Text& out, const Text& text) {
  if (text.size() > runtime_.budget().output_bytes() - std::min(out.size(), runtime_.budget().output_bytes())) {
    fail(ErrorKind::kLimit, "the output is over " + std::to_string(runtime_.budget().output_bytes()) + " bytes");
  }
  out.append(text);
}

Evaluator::Flow Evaluator::execute(const Statement& statement, Scope& scope, Text& out) {
  const auto& node = statement.node;
  if (const auto* data = std::get_if<stmt::Data>(&node)) {
    append(out, data->text);
  } else if (const auto* output = std::get_if<stmt::Output>(&node)) {
    append(out, to_text(runtime_.budget(), evaluate(output->value, scope)));
  } else if (const auto* branch = std::get_if<stmt::If>(&node)) {
    return run_if(*branch, scope, out);
  } else if (const auto* loop = std::get_if<stmt::For>(&node)) {
    run_for(*loop, scope, out);
  } else if (const auto* set = std::get_if<stmt::Set>(&node)) {
    bind(set->target, evaluate(set->value, scope), scope);
  } else if (const auto* block = std::get_if<stmt::SetBlock>(&node)) {
    run_set_block(*block, scope);
  } else if (const auto* macro = std::get_if<stmt::Macro>(&node)) {
    scope.set(macro->definition->name, make_macro(macro->definition, scope));
  } else if (const auto* call = std::get_if<stmt::CallBlock>(&node)) {
    run_call_block(*call, scope, out);
  } else if (const auto* filter = std::get_if<stmt::FilterBlock>(&node)) {
    Scope inner(&scope);
    Text text;
    execute(filter->body, inner, text);
    append(out, to_text(runtime_.budget(), filter_chain(*filter->filter, text, inner)));
  } else if (const auto* with = std::get_if<stmt::With>(&node)) {
    Scope inner(&scope);
    for (const auto& [target, value] : with->bindings) bind(target, evaluate(value, scope), inner);
    return execute(with->body, inner, out);
  } else if (const auto* body = std::get_if<stmt::Scope>(&node)) {
    Scope inner(&scope);
    return execute(body->body, inner, out);
  } else {
    return std::holds_alternative<stmt::Break>(node) ? Flow::kBreak : Flow::kContinue;
  }
  return Flow::kNext;
}

Evaluator::Flow Evaluator::run_if(const stmt::If& node, Scope& scope, Text& out) {
  for (const auto& [test, body] : node.branches) {
    if (evaluate(test, scope).truthy()) return execute(body, scope, out);
  }
  return execute(node.otherwise, scope, out);
}

void Evaluator::run_for(const stmt::For& node, Scope& scope, Text& out) {
  run_loop(node, evaluate(node.iterable, scope), scope, out, 0);
}

std::vector<Value> Evaluator::loop_items(const stmt::For& node, const Value& iterable, Scope& scope) {
  std::vector<Value> items = iterate(runtime_.budget(), iterable);
  if (!node.filter) return items;
  std::vector<Value> kept;
  for (Value& item : items) {
    Scope inner(&scope);
    bind(node.target, item, inner);
    if (evaluate(node.filter, inner).truthy()) kept.push_back(std::move(item));
  }
  return kept;
}

void Evaluator::run_loop(const stmt::For& node, const Value& iterable, Scope& scope, Text& out, int depth) {
  const auto loop = std::make_shared<Loop>(*this, &node, &scope, loop_items(node, iterable, scope), depth);
  struct Leave {
    Loop& loop;
    ~Leave() { loop.leave(); }
  } leave{*loop};
  for (size_t i = 0; i < loop->items().size(); ++i) {
    runtime_.budget().loop_turn();
    loop->advance(i);
    Scope inner(&scope);
    inner.set("loop", Value(std::static_pointer_cast<Object>(loop)));
    bind(node.target, loop->items()[i], inner);
    if (execute(node.body, inner, out) == Flow::kBreak) break;
  }
  if (loop->items().empty()) {
    Scope inner(&scope);
    execute(node.otherwise, inner, out);
  }
}

void Evaluator::run_set_block(const stmt::SetBlock& node, Scope& scope) {
  Text text;
  Scope inner(&scope);
  execute(node.body, inner, text);
  runtime_.budget().text(text.size());
  bind(node.target, node.filter ? filter_chain(*node.filter, text, inner) : Value(text), scope);
}

void Evaluator::run_call_block(const stmt::CallBlock& node, Scope& scope, Text& out) {
  const auto& call = std::get<expr::Call>(node.call->node);
  const Value callee = evaluate(call.callee, scope);
  Arguments arguments = evaluate_arguments(call.arguments, scope);
  arguments.named.emplace_back("caller", make_macro(node.caller, scope));
  append(out, to_text(runtime_.budget(), runtime_.call(callee, arguments)));
}

Value Evaluator::make_macro(std::shared_ptr<const MacroDefinition> definition, Scope& scope) {
  return std::shared_ptr<Object>(std::make_shared<Macro>(*this, std::move(definition), scope.captured()));
}

void Evaluator::bind(const Target& target, const Value& value, Scope& scope) {
  if (!target.items.empty()) {
    const std::vector<Value> parts = iterate(runtime_.budget(), value);
    if (parts.size() != target.items.size()) {
      fail(ErrorKind::kRuntime, "cannot unpack " + std::to_string(parts.size()) + " values into " +
                                    std::to_string(target.items.size()) + " names");
    }
    for (size_t i = 0; i < parts.size(); ++i) bind(target.items[i], parts[i], scope);
    return;
  }
  if (target.attribute.empty()) return scope.set(target.name, value);
  const Value* holder = scope.find(target.name);
  auto* ns = holder ? dynamic_cast<Namespace*>(holder->as_object()) : nullptr;
  if (!ns) fail(ErrorKind::kRuntime, "cannot assign attribute on non-namespace object");
  ns->set(target.attribute, value);
}

}  // namespace mhub::text::jinja
