// SPDX-License-Identifier: Apache-2.0
#include "operators.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "../utf8.h"
#include "formatting.h"
#include "methods.h"
#include "printing.h"

namespace mhub::text::jinja {
namespace {

class BoundMethod final : public Object {
 public:
  BoundMethod(Value self, std::string name) : self_(std::move(self)), name_(std::move(name)) {}
  std::string_view type_name() const override { return "builtin_function_or_method"; }
  bool callable() const override { return true; }
  Value call(Runtime& runtime, const Arguments& arguments) override {
    return call_method(runtime, self_, name_, arguments);
  }

 private:
  Value self_;
  std::string name_;
};

Value missing(const Value& object, std::string_view name) {
  const std::string type = object.is_none() ? "None" : std::string(object.type_name()) + " object";
  return Value::undefined("'" + type + "' has no attribute '" + std::string(name) + "'");
}

// The attribute proper, without keys; nullopt when there is none.
std::optional<Value> find_attribute(const Value& object, std::string_view name) {
  require_defined(object);
  if (name.starts_with("__") || is_unsafe_method(object, name)) {
    return Undefined{std::make_shared<const std::string>("access to attribute '" + std::string(name) + "' of '" +
                                                         std::string(object.type_name()) + "' object is unsafe."),
                     true};
  }
  if (Object* o = object.as_object()) {
    const Value* value = o->attribute(name);
    return value ? std::optional(*value) : std::nullopt;
  }
  if (!has_method(object, name)) return std::nullopt;
  return Value(std::shared_ptr<Object>(std::make_shared<BoundMethod>(object, std::string(name))));
}

bool is_integer(const Value& v) {
  return v.as_bool() || v.as_int();
}

[[noreturn]] void unsupported(std::string_view op, const Value& a, const Value& b) {
  require_defined(a);
  require_defined(b);
  fail(ErrorKind::kType, "unsupported operand type(s) for " + std::string(op) + ": '" + std::string(a.type_name()) +
                             "' and '" + std::string(b.type_name()) + "'");
}
[[noreturn]] void overflow() {
  fail(ErrorKind::kLimit, "an integer is too large");
}

Int floor_divide(Int a, Int b) {
  if (b == 0) fail(ErrorKind::kRuntime, "integer division or modulo by zero");
  if (b == -1) {
    Int r;
    if (__builtin_sub_overflow(Int{0}, a, &r)) overflow();
    return r;
  }
  const Int q = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

Int power(Int base, Int exponent) {
  Int result = 1;
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 != 0 && __builtin_mul_overflow(result, base, &result)) overflow();
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) overflow();
  }
  return result;
}

double to_double(const Value& v) {
  if (const double* d = v.as_double()) return *d;
  return static_cast<double>(to_integer(v, ""));
}

Value integer_arithmetic(std::string_view op, Int a, Int b) {
  Int r = 0;
  if (op == "+") {
    if (__builtin_add_overflow(a, b, &r)) overflow();
  } else if (op == "-") {
    if (__builtin_sub_overflow(a, b, &r)) overflow();
  } else if (op == "*") {
    if (__builtin_mul_overflow(a, b, &r)) overflow();
  } else if (op == "//") {
    r = floor_divide(a, b);
  } else if (op == "%") {
    r = b == -1 ? Int{0} : a - floor_divide(a, b) * b;
  } else if (op == "/") {
    if (b == 0) fail(ErrorKind::kRuntime, "division by zero");
    return static_cast<double>(a) / static_cast<double>(b);
  } else {
    if (b < 0) return std::pow(static_cast<double>(a), static_cast<double>(b));
    r = power(a, b);
  }
  return Value(r);
}

Value float_arithmetic(std::string_view op, double a, double b) {
  if (op == "+") return a + b;
  if (op == "-") return a - b;
  if (op == "*") return a * b;
  if (op == "**") return std::pow(a, b);
  if (b == 0) fail(ErrorKind::kRuntime, "float division by zero");
  if (op == "/") return a / b;
  if (op == "//") return std::floor(a / b);
  const double r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

Value add_texts(Runtime& runtime, const Text& a, const Text& b) {
  const bool markup = a.is_markup() || b.is_markup();
  Text out = markup && !a.is_markup() ? a.escaped() : a;
  runtime.budget().text(out.size() + b.size());
  out.append(markup && !b.is_markup() ? b.escaped() : b);
  return markup ? out.as_markup() : out;
}

Value repeat(Runtime& runtime, const Value& value, Int count) {
  const size_t unit = value.as_text() ? value.as_text()->size() : value.as_list()->items.size();
  const size_t n = count <= 0 || unit == 0 ? 0 : count > Int{1u << 30} ? size_t{1u << 30} : static_cast<size_t>(count);
  if (const Text* text = value.as_text()) {
    runtime.budget().text(unit * n);
    Text out;
    for (size_t i = 0; i < n; ++i) out.append(*text);
    return out;
  }
  runtime.budget().step(unit * n);
  std::vector<Value> items;
  for (size_t i = 0; i < n; ++i)
    items.insert(items.end(), value.as_list()->items.begin(), value.as_list()->items.end());
  return Value::list(std::move(items), value.as_list()->kind);
}

bool is_sequence(const Value& v) {
  const List* list = v.as_list();
  return v.as_text() || (list && (list->kind == List::Kind::kList || list->kind == List::Kind::kTuple));
}

}  // namespace

Value get_attribute(Runtime&, const Value& object, std::string_view name) {
  if (auto attribute = find_attribute(object, name)) return std::move(*attribute);
  if (const Dict* dict = object.as_dict()) {
    if (const Value* value = dict->find(name)) return *value;
  }
  return missing(object, name);
}

Value get_item(Runtime& runtime, const Value& object, const Value& key) {
  require_defined(object);
  runtime.budget().step();
  if (const Dict* dict = object.as_dict()) {
    if (const Value* value = dict->find(key)) return *value;
  } else if (is_integer(key) && (object.as_list() || object.as_text())) {
    const List* list = object.as_list();
    if (list && list->kind == List::Kind::kGenerator) return missing(object, "__getitem__");
    const auto size = static_cast<Int>(length(object));
    Int index = to_integer(key, "index");
    if (index < 0) index += size;
    if (index < 0 || index >= size) {
      return Value::undefined(std::string(object.type_name()) + " object has no element " +
                              to_decimal(to_integer(key, "")));
    }
    if (list) return list->items[static_cast<size_t>(index)];
    return get_slice(runtime, object, Value(index), Value(index + 1), Value());
  }
  if (const Text* name = key.as_text()) {
    if (auto attribute = find_attribute(object, name->view())) return std::move(*attribute);
    return missing(object, name->view());
  }
  return Value::undefined("'" + std::string(object.type_name()) + " object' has no such element");
}

Value get_path(Runtime& runtime, const Value& object, const Value& path) {
  const Text* text = path.as_text();
  if (!text) return get_item(runtime, object, path);
  Value value = object;
  for (const Text& part : text->split(".", SIZE_MAX, false)) {
    const bool digits =
        !part.empty() && part.size() < 10 && part.view().find_first_not_of("0123456789") == std::string::npos;
    value = get_item(runtime, value, digits ? Value::integer(std::stol(part.bytes())) : Value(part));
  }
  return value;
}

Value get_slice(Runtime& runtime, const Value& object, const Value& start, const Value& stop, const Value& step) {
  require_defined(object);
  const Text* text = object.as_text();
  const List* list = object.as_list();
  if (!text && (!list || list->kind == List::Kind::kGenerator)) {
    if (object.as_dict() || object.is_none() || object.is_number()) {
      return Value::undefined("'" + std::string(object.type_name()) + "' object cannot be sliced");
    }
    fail(ErrorKind::kType, "'" + std::string(object.type_name()) + "' object is not subscriptable");
  }
  const Int by = step.is_none() ? Int{1} : to_integer(step, "slice step");
  if (by == 0) fail(ErrorKind::kRuntime, "slice step cannot be zero");
  const auto size = static_cast<Int>(length(object));
  const auto bound = [&](const Value& v, Int missing_value) {
    if (v.is_none()) return missing_value;
    Int i = to_integer(v, "slice index");
    if (i < 0) i += size;
    const Int low = by > 0 ? Int{0} : Int{-1}, high = by > 0 ? size : size - 1;
    return i < low ? low : i > high ? high : i;
  };
  const Int first = bound(start, by > 0 ? Int{0} : size - 1);
  const Int end = bound(stop, by > 0 ? size : Int{-1});
  std::vector<size_t> offsets;  // of the characters
  if (text) {
    runtime.budget().step(1 + text->size() / 64);
    runtime.budget().text(text->size());
    const bool ascii = size == static_cast<Int>(text->size());
    if (ascii && by == 1) return text->slice(static_cast<size_t>(first), static_cast<size_t>(std::max(first, end)));
    for (size_t pos = 0; pos < text->size(); pos += decode_utf8(text->view(), pos).length) offsets.push_back(pos);
    offsets.push_back(text->size());
    if (by == 1) {
      return text->slice(offsets[static_cast<size_t>(first)], offsets[static_cast<size_t>(std::max(first, end))]);
    }
    Text out;
    for (Int i = first; by > 0 ? i < end : i > end; i += by) {
      runtime.budget().step();
      out.append(text->slice(offsets[static_cast<size_t>(i)], offsets[static_cast<size_t>(i) + 1]));
    }
    return out;
  }
  std::vector<Value> items;
  for (Int i = first; by > 0 ? i < end : i > end; i += by) {
    runtime.budget().step();
    items.push_back(list->items[static_cast<size_t>(i)]);
  }
  return Value::list(std::move(items), list->kind);
}

Value binary(Runtime& runtime, std::string_view op, const Value& left, const Value& right) {
  if (op == "%" && left.as_text()) return format_percent(runtime, *left.as_text(), right);
  if (left.is_number() && right.is_number()) {
    if (is_integer(left) && is_integer(right))
      return integer_arithmetic(op, to_integer(left, ""), to_integer(right, ""));
    return float_arithmetic(op, to_double(left), to_double(right));
  }
  if (op == "*" && is_sequence(left) && is_integer(right)) return repeat(runtime, left, to_integer(right, ""));
  if (op == "*" && is_integer(left) && is_sequence(right)) return repeat(runtime, right, to_integer(left, ""));
  if (op == "+") {
    if (left.as_text() && right.as_text()) return add_texts(runtime, *left.as_text(), *right.as_text());
    const List *a = left.as_list(), *b = right.as_list();
    if (a && b && a->kind == b->kind && is_sequence(left)) {
      runtime.budget().step(a->items.size() + b->items.size());
      std::vector<Value> items = a->items;
      items.insert(items.end(), b->items.begin(), b->items.end());
      return Value::list(std::move(items), a->kind);
    }
    require_defined(left);
    require_defined(right);
    if (left.as_text()) {
      fail(ErrorKind::kType, "can only concatenate str (not \"" + std::string(right.type_name()) + "\") to str");
    }
  }
  unsupported(op, left, right);
}

Value negate(const Value& value, char op) {
  if (const double* d = value.as_double()) return op == '-' ? -*d : *d;
  const Int i = to_integer(value, std::string("bad operand type for unary ") + op);
  Int r = i;
  if (op == '-' && __builtin_sub_overflow(Int{0}, i, &r)) overflow();
  return Value(r);
}

bool contains(Runtime& runtime, const Value& container, const Value& item) {
  runtime.budget().step();
  if (const Text* text = container.as_text()) {
    const Text* part = item.as_text();
    require_defined(item);
    if (!part) {
      fail(ErrorKind::kType, "'in <string>' requires string as left operand, not " + std::string(item.type_name()));
    }
    runtime.budget().step(text->size() / 64);
    return text->view().find(part->view()) != std::string_view::npos;
  }
  if (const Dict* dict = container.as_dict()) return dict->find(item) != nullptr;
  if (container.is_none() || container.is_number() || container.as_object()) {
    fail(ErrorKind::kType, "argument of type '" + std::string(container.type_name()) + "' is not iterable");
  }
  for (const Value& candidate : iterate(runtime.budget(), container)) {
    if (equal(candidate, item)) return true;
  }
  return false;
}

bool compare_by(Runtime& runtime, std::string_view op, const Value& left, const Value& right) {
  const Text *a = left.as_text(), *b = right.as_text();
  runtime.budget().step(1 + (a && b ? std::min(a->size(), b->size()) / 64 : 0));
  if (op == "==") return equal(left, right);
  if (op == "!=") return !equal(left, right);
  if (op == "in") return contains(runtime, right, left);
  if (op == "not in") return !contains(runtime, right, left);
  const int order = compare(left, right);
  if (op == "<") return order < 0;
  if (op == "<=") return order <= 0;
  if (op == ">") return order > 0;
  return order >= 0;
}

}  // namespace mhub::text::jinja
