// SPDX-License-Identifier: Apache-2.0
#include "methods.h"

#include <algorithm>

#include "operators.h"

namespace mhub::text::jinja {
namespace {

bool one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}
bool is_plain_list(const Value& v) {
  const List* list = v.as_list();
  return list && (list->kind == List::Kind::kList || list->kind == List::Kind::kTuple);
}

Value dict_view(Runtime& runtime, const Dict& dict, List::Kind kind) {
  runtime.budget().step(dict.items().size());
  std::vector<Value> items;
  items.reserve(dict.items().size());
  for (const auto& [key, value] : dict.items()) {
    if (kind == List::Kind::kItems) {
      items.push_back(Value::list({key, value}, List::Kind::kTuple));
    } else {
      items.push_back(kind == List::Kind::kKeys ? key : value);
    }
  }
  return Value::list(std::move(items), kind);
}

Value call_dict_method(Runtime& runtime, const Value& self, std::string_view name, const Arguments& arguments) {
  const Dict& dict = *self.as_dict();
  if (name == "items") return dict_view(runtime, dict, List::Kind::kItems);
  if (name == "keys") return dict_view(runtime, dict, List::Kind::kKeys);
  if (name == "values") return dict_view(runtime, dict, List::Kind::kValues);
  if (name == "copy") return self;  // values do not change
  const Value* key = arguments.get(0, "key");
  if (!key) fail(ErrorKind::kType, "get expected at least 1 argument");
  if (const Value* value = dict.find(*key)) return *value;
  const Value* otherwise = arguments.get(1, "default");
  return otherwise ? *otherwise : Value();
}

Value call_list_method(Runtime& runtime, const Value& self, std::string_view name, const Arguments& arguments) {
  const List& list = *self.as_list();
  runtime.budget().step(list.items.size());
  if (name == "copy") return self;
  const Value* wanted = arguments.get(0, "value");
  if (!wanted) fail(ErrorKind::kType, std::string(name) + "() takes exactly one argument");
  const auto is_wanted = [&](const Value& v) { return equal(v, *wanted); };
  if (name == "count") return Value::integer(std::count_if(list.items.begin(), list.items.end(), is_wanted));
  const auto hit = std::find_if(list.items.begin(), list.items.end(), is_wanted);
  if (hit == list.items.end()) fail(ErrorKind::kRuntime, "the value is not in the list");
  return Value::integer(hit - list.items.begin());
}

}  // namespace

const Text& text_argument(const Arguments& arguments, size_t position, std::string_view name,
                          std::string_view function) {
  const Value* value = arguments.get(position, name);
  if (!value) fail(ErrorKind::kType, std::string(function) + "() misses its argument '" + std::string(name) + "'");
  require_defined(*value);
  if (!value->as_text()) {
    fail(ErrorKind::kType, std::string(function) + "() needs a string, not " + std::string(value->type_name()));
  }
  return *value->as_text();
}

bool has_method(const Value& self, std::string_view name) {
  if (self.as_text()) return has_text_method(name);
  if (self.as_dict()) return one_of(name, {"get", "items", "keys", "values", "copy"});
  if (is_plain_list(self))
    return one_of(name, {"count", "index"}) || (name == "copy" && self.as_list()->kind == List::Kind::kList);
  return false;
}

bool is_unsafe_method(const Value& self, std::string_view name) {
  if (self.as_dict()) return one_of(name, {"clear", "pop", "popitem", "setdefault", "update", "fromkeys"});
  if (is_plain_list(self) && self.as_list()->kind == List::Kind::kList) {
    return one_of(name, {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"});
  }
  return false;
}

Value call_method(Runtime& runtime, const Value& self, std::string_view name, const Arguments& arguments) {
  runtime.budget().step();
  if (const Text* text = self.as_text()) return call_text_method(runtime, *text, name, arguments);
  if (self.as_dict()) return call_dict_method(runtime, self, name, arguments);
  return call_list_method(runtime, self, name, arguments);
}

}  // namespace mhub::text::jinja
