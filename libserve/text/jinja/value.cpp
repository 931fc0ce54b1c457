// SPDX-License-Identifier: Apache-2.0
#include "value.h"

#include <algorithm>
#include <cmath>

#include "../utf8.h"

namespace mhub::text::jinja {
namespace {

constexpr int kMaxValueDepth = 200;
constexpr size_t kIndexedDictSize = 16;

int checked_depth(int children) {
  if (children >= kMaxValueDepth) fail(ErrorKind::kLimit, "lists or dicts are nested too deeply");
  return children + 1;
}

double as_number(const Value& v) {
  if (const auto* b = v.as_bool()) return *b ? 1 : 0;
  if (const auto* i = v.as_int()) return static_cast<double>(*i);
  return *v.as_double();
}
bool is_integral(const Value& v) {
  return v.as_bool() || v.as_int();
}

int compare_lists(const std::vector<Value>& a, const std::vector<Value>& b) {
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (!equal(a[i], b[i])) return compare(a[i], b[i]);
  }
  return a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
}

}  // namespace

List::List(Kind list_kind, std::vector<Value> list_items) : kind(list_kind), items(std::move(list_items)) {
  int children = 0;
  for (const Value& v : items) children = std::max(children, v.depth());
  depth = checked_depth(children);
}

Dict::Dict(std::vector<Item> items) {
  int children = 0;
  items_.reserve(items.size());
  const bool indexed = items.size() > kIndexedDictSize;
  for (Item& item : items) {
    if (const auto* list = item.first.as_list(); (list && list->kind != List::Kind::kTuple) || item.first.as_dict()) {
      fail(ErrorKind::kType, "unhashable type: '" + std::string(item.first.type_name()) + "'");
    }
    children = std::max({children, item.first.depth(), item.second.depth()});
    if (const Value* present = find(item.first)) {
      const_cast<Value&>(*present) = std::move(item.second);  // own, not yet shared
      continue;
    }
    items_.push_back(std::move(item));
    if (const Text* key = indexed ? items_.back().first.as_text() : nullptr) index_[key->view()] = items_.size() - 1;
  }
  depth_ = checked_depth(children);
}

const Value* Dict::find(std::string_view key) const {
  if (!index_.empty()) {
    const auto hit = index_.find(key);
    return hit == index_.end() ? nullptr : &items_[hit->second].second;
  }
  for (const Item& item : items_) {
    const Text* text = item.first.as_text();
    if (text && text->view() == key) return &item.second;
  }
  return nullptr;
}

const Value* Dict::find(const Value& key) const {
  if (const Text* text = key.as_text()) return find(text->view());
  for (const Item& item : items_) {
    if (!item.first.as_text() && equal(item.first, key)) return &item.second;
  }
  return nullptr;
}

Value Object::call(Runtime&, const Arguments&) {
  fail(ErrorKind::kType, "'" + std::string(type_name()) + "' object is not callable");
}

Value Value::from_json(const OrderedJson& json, bool user) {
  switch (json.type()) {
    case OrderedJson::value_t::null:
      return {};
    case OrderedJson::value_t::boolean:
      return json.get<bool>();
    case OrderedJson::value_t::number_integer:
      return Value(Int{json.get<int64_t>()});
    case OrderedJson::value_t::number_unsigned:
      return Value(static_cast<Int>(json.get<uint64_t>()));
    case OrderedJson::value_t::number_float:
      return json.get<double>();
    case OrderedJson::value_t::string:
      return Text::made(json.get<std::string>(), user);
    case OrderedJson::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const auto& item : json) items.push_back(from_json(item, user));
      return list(std::move(items));
    }
    case OrderedJson::value_t::object: {
      std::vector<Dict::Item> items;
      items.reserve(json.size());
      for (const auto& [key, value] : json.items()) items.emplace_back(Text::made(key, user), from_json(value, user));
      return dict(std::move(items));
    }
    default:
      fail(ErrorKind::kType, "binary values are not supported");
  }
}

bool Value::truthy() const {
  if (const auto* b = as_bool()) return *b;
  if (const auto* i = as_int()) return *i != 0;
  if (const auto* d = as_double()) return *d != 0;
  if (const auto* t = as_text()) return !t->empty();
  if (const auto* l = as_list()) return l->kind == List::Kind::kGenerator || !l->items.empty();
  if (const auto* d = as_dict()) return !d->items().empty();
  return as_object() != nullptr;
}

int Value::depth() const {
  if (const auto* l = as_list()) return l->depth;
  if (const auto* d = as_dict()) return d->depth();
  return 0;
}

std::string_view Value::type_name() const {
  if (is_none()) return "NoneType";
  if (is_undefined()) return "Undefined";
  if (as_bool()) return "bool";
  if (as_int()) return "int";
  if (as_double()) return "float";
  if (const Text* t = as_text()) return t->is_markup() ? "Markup" : "str";
  if (as_dict()) return "dict";
  if (const List* l = as_list()) {
    switch (l->kind) {
      case List::Kind::kList:
        return "list";
      case List::Kind::kTuple:
        return "tuple";
      case List::Kind::kGenerator:
        return "generator";
      case List::Kind::kKeys:
        return "dict_keys";
      case List::Kind::kValues:
        return "dict_values";
      case List::Kind::kItems:
        return "dict_items";
      case List::Kind::kRange:
        return "range";
    }
  }
  return as_object()->type_name();
}

const Value* Arguments::get(size_t position, std::string_view name) const {
  if (position < positional.size()) return &positional[position];
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

void require_defined(const Value& value) {
  const Undefined* u = value.as_undefined();
  if (u) fail(u->unsafe ? ErrorKind::kSecurity : ErrorKind::kUndefined, *u->message);
}

Int to_integer(const Value& value, std::string_view what) {
  require_defined(value);
  if (const auto* b = value.as_bool()) return *b ? 1 : 0;
  if (const auto* i = value.as_int()) return *i;
  fail(ErrorKind::kType, std::string(what) + ": '" + std::string(value.type_name()) + "' is not an integer");
}

bool equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (is_integral(a) && is_integral(b)) return to_integer(a, "") == to_integer(b, "");
    return as_number(a) == as_number(b);
  }
  if (a.is_none() || b.is_none()) return a.is_none() && b.is_none();
  if (a.is_undefined() || b.is_undefined()) return a.is_undefined() && b.is_undefined();
  if (a.as_text() && b.as_text()) return a.as_text()->view() == b.as_text()->view();
  if (const List* la = a.as_list(), *lb = b.as_list(); la && lb) {
    if (la == lb) return true;
    if (la->kind != lb->kind || la->kind == List::Kind::kGenerator) return false;
    return std::equal(la->items.begin(), la->items.end(), lb->items.begin(), lb->items.end(), equal);
  }
  if (const Dict* da = a.as_dict(), *db = b.as_dict(); da && db) {
    if (da->items().size() != db->items().size()) return false;
    return std::all_of(da->items().begin(), da->items().end(), [&](const Dict::Item& item) {
      const Value* other = db->find(item.first);
      return other && equal(item.second, *other);
    });
  }
  return a.as_object() && a.as_object() == b.as_object();
}

int compare(const Value& a, const Value& b) {
  require_defined(a);
  require_defined(b);
  if (a.is_number() && b.is_number()) {
    if (is_integral(a) && is_integral(b)) {
      const Int x = to_integer(a, ""), y = to_integer(b, "");
      return x < y ? -1 : x > y ? 1 : 0;
    }
    const double x = as_number(a), y = as_number(b);
    return x < y ? -1 : x > y ? 1 : 0;
  }
  if (a.as_text() && b.as_text()) {  // UTF-8 byte order is code point order
    const int order = a.as_text()->view().compare(b.as_text()->view());
    return order < 0 ? -1 : order > 0 ? 1 : 0;
  }
  if (const List* la = a.as_list(), *lb = b.as_list(); la && lb && la->kind == lb->kind) {
    return compare_lists(la->items, lb->items);
  }
  fail(ErrorKind::kType,
       "values of types '" + std::string(a.type_name()) + "' and '" + std::string(b.type_name()) + "' have no order");
}

std::vector<Value> iterate(Budget& budget, const Value& value) {
  if (const List* list = value.as_list()) {
    if (list->consumed) return {};
    list->consumed = list->kind == List::Kind::kGenerator;
    budget.step(list->items.size());
    return list->items;
  }
  std::vector<Value> out;
  if (const Dict* dict = value.as_dict()) {
    budget.step(dict->items().size());
    for (const auto& [key, item] : dict->items()) out.push_back(key);
    return out;
  }
  if (const Text* text = value.as_text()) {
    budget.step(text->size());
    for (size_t pos = 0; pos < text->size();) {
      const size_t end = pos + decode_utf8(text->view(), pos).length;
      out.emplace_back(text->slice(pos, end));
      pos = end;
    }
    return out;
  }
  if (const Undefined* u = value.as_undefined()) {
    if (u->unsafe) require_defined(value);
    return out;
  }
  fail(ErrorKind::kType, "'" + std::string(value.type_name()) + "' object is not iterable");
}

size_t length(const Value& value) {
  if (const List* list = value.as_list(); list && list->kind != List::Kind::kGenerator) return list->items.size();
  if (const Dict* dict = value.as_dict()) return dict->items().size();
  if (const Text* text = value.as_text()) return count_code_points(text->view());
  if (value.is_undefined()) return 0;
  fail(ErrorKind::kType, "object of type '" + std::string(value.type_name()) + "' has no len()");
}

}  // namespace mhub::text::jinja
