// SPDX-License-Identifier: Apache-2.0
// Filters over lists, dicts and other things that iterate.
#include <algorithm>
#include <iterator>

#include "../unicode.h"
#include "../utf8.h"
#include "filters.h"
#include "operators.h"
#include "printing.h"

namespace mhub::text::jinja {
namespace {

Value generator(std::vector<Value> items) {
  return Value::list(std::move(items), List::Kind::kGenerator);
}

bool flag(const Arguments& arguments, size_t position, std::string_view name) {
  const Value* value = arguments.get(position, name);
  return value && value->truthy();
}

// What sort, unique, min and max compare: the attribute if one is named, strings without case unless asked.
class Key {
 public:
  Key(Runtime& runtime, const Value* attribute, bool case_sensitive)
      : runtime_(runtime),
        attribute_(attribute && !attribute->is_none() ? attribute : nullptr),
        case_sensitive_(case_sensitive) {}
  Value operator()(const Value& item) const {
    const Value value = attribute_ ? get_path(runtime_, item, *attribute_) : item;
    const Text* text = value.as_text();
    if (!text || case_sensitive_) return value;
    runtime_.budget().text(text->size());
    return Value::text(to_lower(text->view()));
  }

 private:
  Runtime& runtime_;
  const Value* attribute_;
  bool case_sensitive_;
};

std::vector<Value> sorted(Runtime& runtime, std::vector<Value> items, const Key& key, bool reverse) {
  std::vector<std::pair<Value, size_t>> keys;
  for (size_t i = 0; i < items.size(); ++i) keys.emplace_back(key(items[i]), i);
  // Every pair of neighbours must have an order before the sort relies on it.
  for (size_t i = 1; i < keys.size(); ++i) compare(keys[i - 1].first, keys[i].first);
  runtime.budget().step(items.size() * 4);
  std::stable_sort(keys.begin(), keys.end(), [&](const auto& a, const auto& b) {
    return reverse ? compare(b.first, a.first) < 0 : compare(a.first, b.first) < 0;
  });
  std::vector<Value> out;
  for (const auto& [k, i] : keys) out.push_back(items[i]);
  return out;
}

Value length_filter(Runtime& runtime, const Value& value, const Arguments&) {
  if (const Text* text = value.as_text()) runtime.budget().step(text->size() / 64);
  return Value::integer(static_cast<int64_t>(length(value)));
}
Value list(Runtime& runtime, const Value& value, const Arguments&) {
  return Value::list(iterate(runtime.budget(), value));
}

Value first(Runtime& runtime, const Value& value, const Arguments&) {
  std::vector<Value> items = iterate(runtime.budget(), value);
  return items.empty() ? Value::undefined("No first item, sequence was empty.") : items.front();
}
Value last(Runtime& runtime, const Value& value, const Arguments&) {
  if (const List* l = value.as_list(); l && l->kind == List::Kind::kGenerator) {
    fail(ErrorKind::kType, "'generator' object is not reversible");
  }
  std::vector<Value> items = iterate(runtime.budget(), value);
  return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.back();
}

Value reverse(Runtime& runtime, const Value& value, const Arguments&) {
  if (value.as_text()) return get_slice(runtime, value, Value(), Value(), Value::integer(-1));
  std::vector<Value> items = iterate(runtime.budget(), value);
  std::reverse(items.begin(), items.end());
  return generator(std::move(items));
}

Value join(Runtime& runtime, const Value& value, const Arguments& arguments) {
  const Value *separator = arguments.get(0, "d"), *attribute = arguments.get(1, "attribute");
  const Text between = separator ? to_text(runtime.budget(), *separator) : Text();
  Text out;
  bool first_item = true;
  for (const Value& item : iterate(runtime.budget(), value)) {
    if (!first_item) out.append(between);
    first_item = false;
    out.append(to_text(runtime.budget(), attribute ? get_path(runtime, item, *attribute) : item));
    if (out.size() > runtime.budget().output_bytes()) fail(ErrorKind::kLimit, "a string is over the output limit");
  }
  runtime.budget().text(out.size());
  return out;
}

Value items(Runtime& runtime, const Value& value, const Arguments&) {
  if (value.is_undefined()) return generator({});
  if (!value.as_dict()) fail(ErrorKind::kType, "Can only get item pairs from a mapping.");
  std::vector<Value> out;
  runtime.budget().step(value.as_dict()->items().size());
  for (const auto& [key, item] : value.as_dict()->items()) out.push_back(Value::list({key, item}, List::Kind::kTuple));
  return generator(std::move(out));
}

Value dict_sort(Runtime& runtime, const Value& value, const Arguments& arguments) {
  require_defined(value);
  const Dict* dict = value.as_dict();
  if (!dict) fail(ErrorKind::kType, "dictsort needs a mapping, not " + std::string(value.type_name()));
  const Value* by = arguments.get(1, "by");
  const std::string_view side = by && by->as_text() ? by->as_text()->view() : "key";
  if (side != "key" && side != "value") fail(ErrorKind::kRuntime, "You can only sort by either \"key\" or \"value\"");
  std::vector<Value> pairs;
  for (const auto& [key, item] : dict->items()) pairs.push_back(Value::list({key, item}, List::Kind::kTuple));
  const Value position = Value::integer(side == "key" ? 0 : 1);
  const Key key(runtime, &position, flag(arguments, 0, "case_sensitive"));
  return Value::list(sorted(runtime, std::move(pairs), key, flag(arguments, 2, "reverse")));
}

Value sort(Runtime& runtime, const Value& value, const Arguments& arguments) {
  const Key key(runtime, arguments.get(2, "attribute"), flag(arguments, 1, "case_sensitive"));
  return Value::list(sorted(runtime, iterate(runtime.budget(), value), key, flag(arguments, 0, "reverse")));
}

Value unique(Runtime& runtime, const Value& value, const Arguments& arguments) {
  const Key key(runtime, arguments.get(1, "attribute"), flag(arguments, 0, "case_sensitive"));
  std::vector<Value> out, seen;
  for (const Value& item : iterate(runtime.budget(), value)) {
    const Value k = key(item);
    runtime.budget().step(seen.size() + 1);
    if (std::any_of(seen.begin(), seen.end(), [&](const Value& s) { return equal(s, k); })) continue;
    seen.push_back(k);
    out.push_back(item);
  }
  return generator(std::move(out));
}

template <bool largest>
Value extreme(Runtime& runtime, const Value& value, const Arguments& arguments) {
  const Key key(runtime, arguments.get(1, "attribute"), flag(arguments, 0, "case_sensitive"));
  const std::vector<Value> candidates = iterate(runtime.budget(), value);
  if (candidates.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  const Value* best = &candidates.front();
  for (const Value& item : candidates) {
    const int order = compare(key(item), key(*best));
    if (largest ? order > 0 : order < 0) best = &item;
  }
  return *best;
}

Value sum(Runtime& runtime, const Value& value, const Arguments& arguments) {
  const Value *attribute = arguments.get(0, "attribute"), *start = arguments.get(1, "start");
  Value total = start ? *start : Value::integer(0);
  for (const Value& item : iterate(runtime.budget(), value)) {
    total =
        binary(runtime, "+", total, attribute && !attribute->is_none() ? get_path(runtime, item, *attribute) : item);
  }
  return total;
}

Arguments without_first(const Arguments& arguments, size_t n) {
  Arguments rest;
  rest.positional.assign(
      arguments.positional.begin() + static_cast<std::ptrdiff_t>(std::min(n, arguments.positional.size())),
      arguments.positional.end());
  rest.named = arguments.named;
  return rest;
}

const Text& name_argument(const Arguments& arguments, size_t position, std::string_view filter) {
  if (position >= arguments.positional.size() || !arguments.positional[position].as_text()) {
    fail(ErrorKind::kType, std::string(filter) + " needs the name of a filter or test");
  }
  return *arguments.positional[position].as_text();
}

Value map(Runtime& runtime, const Value& value, const Arguments& arguments) {
  std::vector<Value> out;
  const Value *attribute = arguments.get(SIZE_MAX, "attribute"), *otherwise = arguments.get(SIZE_MAX, "default");
  if (!attribute) name_argument(arguments, 0, "map");
  const Arguments rest = without_first(arguments, 1);
  for (const Value& item : iterate(runtime.budget(), value)) {
    if (attribute) {
      Value found = get_path(runtime, item, *attribute);
      out.push_back(found.is_undefined() && otherwise ? *otherwise : std::move(found));
    } else {
      out.push_back(apply_filter(runtime, arguments.positional[0].as_text()->view(), item, rest));
    }
  }
  return generator(std::move(out));
}

// select, reject (of the items) and selectattr, rejectattr (of an attribute of theirs); without a test: truth.
template <bool keep, bool by_attribute>
Value select(Runtime& runtime, const Value& value, const Arguments& arguments) {
  constexpr size_t kTest = by_attribute ? 1 : 0;
  if (by_attribute && arguments.positional.empty()) fail(ErrorKind::kType, "selectattr needs the name of an attribute");
  const Text* test = arguments.positional.size() > kTest ? &name_argument(arguments, kTest, "select") : nullptr;
  const Arguments rest = without_first(arguments, kTest + 1);
  std::vector<Value> out;
  for (const Value& item : iterate(runtime.budget(), value)) {
    const Value subject = by_attribute ? get_path(runtime, item, arguments.positional[0]) : item;
    if ((test ? apply_test(runtime, test->view(), subject, rest) : subject.truthy()) == keep) out.push_back(item);
  }
  return generator(std::move(out));
}

size_t group_size(const Arguments& arguments, std::string_view name) {
  const Value* n = arguments.get(0, name);
  const Int size = n ? to_integer(*n, name) : Int{0};
  if (size < 1 || size > 1'000'000) fail(ErrorKind::kRuntime, std::string(name) + " is out of range");
  return static_cast<size_t>(size);
}

Value batch(Runtime& runtime, const Value& value, const Arguments& arguments) {
  const size_t size = group_size(arguments, "linecount");
  const Value* fill = arguments.get(1, "fill_with");
  std::vector<Value> out, group;
  for (Value& item : iterate(runtime.budget(), value)) {
    group.push_back(std::move(item));
    if (group.size() == size) out.push_back(Value::list(std::exchange(group, {})));
  }
  if (!group.empty()) {
    runtime.budget().step(size);
    while (fill && !fill->is_none() && group.size() < size) group.push_back(*fill);
    out.push_back(Value::list(std::move(group)));
  }
  return generator(std::move(out));
}

Value slice(Runtime& runtime, const Value& value, const Arguments& arguments) {
  const size_t slices = group_size(arguments, "slices");
  const Value* fill = arguments.get(1, "fill_with");
  const std::vector<Value> all = iterate(runtime.budget(), value);
  runtime.budget().step(slices);
  const size_t each = all.size() / slices, longer = all.size() % slices;
  std::vector<Value> out;
  for (size_t i = 0, pos = 0; i < slices; ++i) {
    const size_t n = each + (i < longer ? 1 : 0);
    std::vector<Value> part(all.begin() + static_cast<std::ptrdiff_t>(pos),
                            all.begin() + static_cast<std::ptrdiff_t>(pos + n));
    if (fill && !fill->is_none() && i >= longer) part.push_back(*fill);
    out.push_back(Value::list(std::move(part)));
    pos += n;
  }
  return generator(std::move(out));
}

// (key, items) for each key, in order; the key as the first of its items has it.
Value group_by(Runtime& runtime, const Value& value, const Arguments& arguments) {
  const Value *attribute = arguments.get(0, "attribute"), *otherwise = arguments.get(1, "default");
  if (!attribute) fail(ErrorKind::kType, "groupby needs the name of an attribute");
  const bool case_sensitive = flag(arguments, 2, "case_sensitive");
  const auto key_of = [&](const Value& item) {
    Value found = get_path(runtime, item, *attribute);
    return found.is_undefined() && otherwise ? *otherwise : found;
  };
  std::vector<Value> pairs;
  for (const Value& item : iterate(runtime.budget(), value)) {
    pairs.push_back(Value::list({key_of(item), item}, List::Kind::kTuple));
  }
  const Value position = Value::integer(0);
  const Key key(runtime, &position, case_sensitive);
  std::vector<Value> out, group;
  Value name;
  const auto close = [&] {
    if (!group.empty()) {
      out.push_back(Value::list({name, Value::list(std::exchange(group, {}))}, List::Kind::kTuple));
    }
  };
  Value last_key;
  for (const Value& pair : sorted(runtime, std::move(pairs), key, false)) {
    const Value this_key = key(pair);
    if (group.empty() || !equal(this_key, last_key)) {
      close();
      name = pair.as_list()->items[0];
    }
    last_key = this_key;
    group.push_back(pair.as_list()->items[1]);
  }
  close();
  return Value::list(std::move(out));
}

Value attribute(Runtime& runtime, const Value& value, const Arguments& arguments) {
  const Text& name = name_argument(arguments, 0, "attr");
  if (value.as_dict()) return Value::undefined("'dict object' has no attribute '" + name.bytes() + "'");
  return get_attribute(runtime, value, name.view());
}

struct Entry {
  std::string_view name;
  Filter filter;
};
constexpr Entry kFilters[] = {
    {"attr", attribute},
    {"batch", batch},
    {"count", length_filter},
    {"dictsort", dict_sort},
    {"first", first},
    {"groupby", group_by},
    {"items", items},
    {"join", join},
    {"last", last},
    {"length", length_filter},
    {"list", list},
    {"map", map},
    {"max", extreme<true>},
    {"min", extreme<false>},
    {"reject", select<false, false>},
    {"rejectattr", select<false, true>},
    {"reverse", reverse},
    {"select", select<true, false>},
    {"selectattr", select<true, true>},
    {"slice", slice},
    {"sort", sort},
    {"sum", sum},
    {"unique", unique},
};

}  // namespace

Filter find_sequence_filter(std::string_view name) {
  const auto hit =
      std::find_if(std::begin(kFilters), std::end(kFilters), [&](const Entry& e) { return e.name == name; });
  return hit == std::end(kFilters) ? nullptr : hit->filter;
}

}  // namespace mhub::text::jinja
