// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "limits.h"
#include "mhub/base/json.h"
#include "text.h"

namespace mhub::text::jinja {

__extension__ using Int = __int128;

class Value;
struct Arguments;
class Runtime;

// Printed as nothing, false, of length 0; using it otherwise fails with `message`.
struct Undefined {
  std::shared_ptr<const std::string> message;
  bool unsafe = false;  // the sandbox hides what is behind the name
};
struct None {};

// Python's list, tuple and things that iterate like one.
struct List {
  enum class Kind { kList, kTuple, kGenerator, kKeys, kValues, kItems, kRange };
  List(Kind list_kind, std::vector<Value> list_items);
  Kind kind;
  std::vector<Value> items;
  int depth;                      // nesting, limited so that recursion over values is
  mutable bool consumed = false;  // a generator yields its items once
};

// Keeps insertion order. Keys are strings, numbers, booleans, none or tuples of them.
class Dict {
 public:
  using Item = std::pair<Value, Value>;
  Dict() = default;
  explicit Dict(std::vector<Item> items);
  const std::vector<Item>& items() const { return items_; }
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  int depth() const { return depth_; }

 private:
  std::vector<Item> items_;
  std::unordered_map<std::string_view, size_t> index_;  // of string keys, for large ones; later keys win
  int depth_ = 1;
};

// Things with identity: namespaces, loops, macros, functions, bound methods.
class Object {
 public:
  virtual ~Object() = default;
  virtual std::string_view type_name() const = 0;
  virtual const Value* attribute(std::string_view) { return nullptr; }
  virtual bool callable() const { return false; }
  virtual Value call(Runtime& runtime, const Arguments& arguments);
};

class Value {
 public:
  Value() = default;                                                       // none
  Value(None) {}                                                           // NOLINT: implicit on purpose
  Value(bool b) : v_(b) {}                                                 // NOLINT
  Value(Int i) : v_(i) {}                                                  // NOLINT
  Value(double d) : v_(d) {}                                               // NOLINT
  Value(Undefined u) : v_(std::move(u)) {}                                 // NOLINT
  Value(Text text) : v_(std::make_shared<const Text>(std::move(text))) {}  // NOLINT
  Value(std::shared_ptr<const Text> text) : v_(std::move(text)) {}         // NOLINT
  Value(std::shared_ptr<const Dict> dict) : v_(std::move(dict)) {}         // NOLINT
  Value(std::shared_ptr<Object> object) : v_(std::move(object)) {}         // NOLINT
  static Value integer(int64_t i) { return Value(Int{i}); }
  static Value undefined(std::string message) {
    return Undefined{std::make_shared<const std::string>(std::move(message)), false};
  }
  static Value list(std::vector<Value> items, List::Kind kind = List::Kind::kList) {
    return Value(std::make_shared<const List>(kind, std::move(items)));
  }
  static Value dict(std::vector<Dict::Item> items) { return Value(std::make_shared<const Dict>(std::move(items))); }
  static Value text(std::string bytes) { return Value(Text(std::move(bytes))); }
  // Every string in it is the user's when `user` is set.
  static Value from_json(const OrderedJson& json, bool user);

  bool is_undefined() const { return std::holds_alternative<Undefined>(v_); }
  bool is_none() const { return std::holds_alternative<None>(v_); }
  const bool* as_bool() const { return std::get_if<bool>(&v_); }
  const Int* as_int() const { return std::get_if<Int>(&v_); }
  const double* as_double() const { return std::get_if<double>(&v_); }
  const Undefined* as_undefined() const { return std::get_if<Undefined>(&v_); }
  const Text* as_text() const { return pointed<const Text>(); }
  const List* as_list() const { return pointed<const List>(); }
  const Dict* as_dict() const { return pointed<const Dict>(); }
  Object* as_object() const { return pointed<Object>(); }
  std::shared_ptr<Object> object() const { return std::get<std::shared_ptr<Object>>(v_); }

  bool is_number() const { return as_bool() || as_int() || as_double(); }
  bool truthy() const;
  int depth() const;
  // Python's name: "str", "list", "NoneType".
  std::string_view type_name() const;

 private:
  explicit Value(std::shared_ptr<const List> list) : v_(std::move(list)) {}
  template <typename T>
  T* pointed() const {
    const auto* p = std::get_if<std::shared_ptr<T>>(&v_);
    return p ? p->get() : nullptr;
  }

  std::variant<None, Undefined, bool, Int, double, std::shared_ptr<const Text>, std::shared_ptr<const List>,
               std::shared_ptr<const Dict>, std::shared_ptr<Object>>
      v_;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
  // Argument by position or name; nullptr when not given.
  const Value* get(size_t position, std::string_view name) const;
};

// Booleans are integers here, as in Python. Fails with a TypeError for other values; `what` says where.
Int to_integer(const Value& value, std::string_view what);
bool equal(const Value& a, const Value& b);
// Order of numbers, strings and sequences; fails for others.
int compare(const Value& a, const Value& b);
// The items that a for loop visits: list items, dict keys, characters. Fails for none and numbers.
std::vector<Value> iterate(Budget& budget, const Value& value);
// Fails as Python's len() does.
size_t length(const Value& value);
// Fails with UndefinedError when the value is undefined.
void require_defined(const Value& value);

}  // namespace mhub::text::jinja
