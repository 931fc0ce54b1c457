// SPDX-License-Identifier: Apache-2.0
#include "globals.h"

#include <algorithm>
#include <iterator>

#include "clock.h"
#include "methods.h"
#include "printing.h"

namespace mhub::text::jinja {
namespace {

using Function = Value (*)(Runtime&, const Arguments&);

class Joiner final : public Object {
 public:
  explicit Joiner(Text separator) : separator_(std::move(separator)) {}
  std::string_view type_name() const override { return "Joiner"; }
  bool callable() const override { return true; }
  Value call(Runtime&, const Arguments&) override { return std::exchange(used_, true) ? separator_ : Text(); }

 private:
  Text separator_;
  bool used_ = false;
};

// c.next(), c.current and c.reset(); the methods share the cycler's position.
class Cycler final : public Object {
 public:
  struct State {
    std::vector<Value> items;
    size_t position = 0;
  };
  enum class Verb { kNext, kReset };
  class Method final : public Object {
   public:
    Method(std::shared_ptr<State> state, Verb verb) : state_(std::move(state)), verb_(verb) {}
    std::string_view type_name() const override { return "method"; }
    bool callable() const override { return true; }
    Value call(Runtime&, const Arguments&) override {
      if (verb_ == Verb::kReset) {
        state_->position = 0;
        return {};
      }
      const Value current = state_->items[state_->position];
      state_->position = (state_->position + 1) % state_->items.size();
      return current;
    }

   private:
    std::shared_ptr<State> state_;
    Verb verb_;
  };

  explicit Cycler(std::vector<Value> items)
      : state_(std::make_shared<State>(State{std::move(items), 0})),
        next_(std::shared_ptr<Object>(std::make_shared<Method>(state_, Verb::kNext))),
        reset_(std::shared_ptr<Object>(std::make_shared<Method>(state_, Verb::kReset))) {}
  std::string_view type_name() const override { return "Cycler"; }
  const Value* attribute(std::string_view name) override {
    if (name == "next") return &next_;
    if (name == "reset") return &reset_;
    return name == "current" ? &state_->items[state_->position] : nullptr;
  }

 private:
  std::shared_ptr<State> state_;
  Value next_, reset_;
};

class GlobalFunction final : public Object {
 public:
  explicit GlobalFunction(Function function) : function_(function) {}
  std::string_view type_name() const override { return "function"; }
  bool callable() const override { return true; }
  Value call(Runtime& runtime, const Arguments& arguments) override { return function_(runtime, arguments); }

 private:
  Function function_;
};

Value range(Runtime& runtime, const Arguments& arguments) {
  const auto& a = arguments.positional;
  if (a.empty() || a.size() > 3) fail(ErrorKind::kType, "range expects 1 to 3 arguments");
  const Int start = a.size() > 1 ? to_integer(a[0], "range") : Int{0};
  const Int stop = to_integer(a[a.size() > 1 ? 1 : 0], "range");
  const Int step = a.size() > 2 ? to_integer(a[2], "range") : Int{1};
  if (step == 0) fail(ErrorKind::kRuntime, "range() arg 3 must not be zero");
  std::vector<Value> items;
  for (Int i = start; step > 0 ? i < stop : i > stop;) {
    runtime.budget().step();
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return Value::list(std::move(items), List::Kind::kRange);
}

Value dict(Runtime& runtime, const Arguments& arguments) {
  std::vector<Dict::Item> items;
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional[0];
    if (const Dict* other = source.as_dict()) {
      items = other->items();
    } else {
      for (const Value& pair : iterate(runtime.budget(), source)) {
        std::vector<Value> parts = iterate(runtime.budget(), pair);
        if (parts.size() != 2) fail(ErrorKind::kRuntime, "dict() needs pairs");
        items.emplace_back(std::move(parts[0]), std::move(parts[1]));
      }
    }
  }
  for (const auto& [name, value] : arguments.named) items.emplace_back(Value::text(name), value);
  runtime.budget().step(items.size());
  return Value::dict(std::move(items));
}

Value make_namespace(Runtime& runtime, const Arguments& arguments) {
  std::vector<std::pair<std::string, Value>> attributes;
  for (const Value& source : arguments.positional) {
    if (!source.as_dict()) fail(ErrorKind::kType, "namespace() takes a mapping and names");
    for (const auto& [key, value] : source.as_dict()->items()) {
      if (key.as_text()) attributes.emplace_back(key.as_text()->bytes(), value);
    }
  }
  for (const auto& [name, value] : arguments.named) attributes.emplace_back(name, value);
  return runtime.make_namespace(std::move(attributes));
}

Value make_joiner(Runtime&, const Arguments& arguments) {
  const Text separator = arguments.get(0, "sep") ? text_argument(arguments, 0, "sep", "joiner") : Text(", ");
  return std::shared_ptr<Object>(std::make_shared<Joiner>(separator));
}

Value make_cycler(Runtime&, const Arguments& arguments) {
  if (arguments.positional.empty()) fail(ErrorKind::kRuntime, "cycler() needs at least one item");
  return std::shared_ptr<Object>(std::make_shared<Cycler>(arguments.positional));
}

Value raise_exception(Runtime& runtime, const Arguments& arguments) {
  const Value* message = arguments.get(0, "message");
  fail(ErrorKind::kRaise, message ? to_text(runtime.budget(), *message).bytes() : "");
}

Value strftime_now(Runtime& runtime, const Arguments& arguments) {
  const Text& format = text_argument(arguments, 0, "format", "strftime_now");
  runtime.budget().text(format.size() * 16);
  return Text::made(format_time(format.view(), runtime.now()), format.has_user_bytes());
}

struct Entry {
  std::string_view name;
  Function function;
};
constexpr Entry kGlobals[] = {
    {"range", range},
    {"dict", dict},
    {"namespace", make_namespace},
    {"joiner", make_joiner},
    {"cycler", make_cycler},
    {"raise_exception", raise_exception},
    {"strftime_now", strftime_now},
};

}  // namespace

std::optional<Value> find_global(std::string_view name) {
  const auto hit =
      std::find_if(std::begin(kGlobals), std::end(kGlobals), [&](const Entry& e) { return e.name == name; });
  if (hit == std::end(kGlobals)) return std::nullopt;
  return Value(std::shared_ptr<Object>(std::make_shared<GlobalFunction>(hit->function)));
}

}  // namespace mhub::text::jinja
