// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <functional>
#include <iterator>

#include "../unicode.h"
#include "../utf8.h"
#include "formatting.h"
#include "methods.h"
#include "operators.h"

namespace mhub::text::jinja {
namespace {

using Method = Value (*)(Runtime&, const Text&, const Arguments&);

Value texts(std::vector<Text> parts, List::Kind kind = List::Kind::kList) {
  std::vector<Value> items;
  items.reserve(parts.size());
  for (Text& part : parts) items.emplace_back(std::move(part));
  return Value::list(std::move(items), kind);
}

// Case mapping character by character where the user's bytes are; the ranges follow.
template <std::string (*map)(std::string_view)>
Value mapped(Runtime& runtime, const Text& self, const Arguments&) {
  runtime.budget().text(self.size() * 3);
  if (!self.has_user_bytes()) return Text(map(self.view()));
  Text out = Text::from_user(map(self.view()));
  return out;
}

template <bool left, bool right>
Value strip(Runtime& runtime, const Text& self, const Arguments& arguments) {
  runtime.budget().text(self.size());
  const Value* set = arguments.get(0, "chars");
  if (!set || set->is_none()) return self.strip(nullptr, left, right);
  return self.strip(&text_argument(arguments, 0, "chars", "strip").bytes(), left, right);
}

size_t limit_argument(const Arguments& arguments, size_t position, std::string_view name) {
  const Value* value = arguments.get(position, name);
  if (!value || value->is_none()) return SIZE_MAX;
  const Int limit = to_integer(*value, name);
  return limit < 0 ? SIZE_MAX : limit > Int{INT32_MAX} ? size_t{INT32_MAX} : static_cast<size_t>(limit);
}

template <bool from_right>
Value split(Runtime& runtime, const Text& self, const Arguments& arguments) {
  runtime.budget().text(self.size());
  runtime.budget().step(self.size() / 8);
  const Value* separator = arguments.get(0, "sep");
  const size_t most = limit_argument(arguments, 1, "maxsplit");
  if (!separator || separator->is_none()) {
    if (from_right && most != SIZE_MAX) fail(ErrorKind::kRuntime, "rsplit() without a separator takes no limit here");
    return texts(self.split_spaces(most));
  }
  const Text& by = text_argument(arguments, 0, "sep", "split");
  if (by.empty()) fail(ErrorKind::kRuntime, "empty separator");
  return texts(self.split(by.view(), most, from_right));
}

template <bool from_right>
Value partition(Runtime& runtime, const Text& self, const Arguments& arguments) {
  runtime.budget().text(self.size());
  const Text& by = text_argument(arguments, 0, "sep", "partition");
  if (by.empty()) fail(ErrorKind::kRuntime, "empty separator");
  const size_t hit = from_right ? self.view().rfind(by.view()) : self.view().find(by.view());
  if (hit == std::string_view::npos) {
    return from_right ? texts({Text(), Text(), self}, List::Kind::kTuple)
                      : texts({self, Text(), Text()}, List::Kind::kTuple);
  }
  return texts({self.slice(0, hit), self.slice(hit, hit + by.size()), self.slice(hit + by.size(), self.size())},
               List::Kind::kTuple);
}

Value split_lines(Runtime& runtime, const Text& self, const Arguments& arguments) {
  runtime.budget().text(self.size());
  const Value* keep = arguments.get(0, "keepends");
  return texts(self.split_lines(keep && keep->truthy()));
}

Value replace(Runtime& runtime, const Text& self, const Arguments& arguments) {
  const Text& from = text_argument(arguments, 0, "old", "replace");
  const Text& to = text_argument(arguments, 1, "new", "replace");
  const size_t most = limit_argument(arguments, 2, "count");
  // At most this long, counted before it is made.
  size_t hits = from.empty() ? self.size() + 1 : 0;
  for (size_t pos = 0; !from.empty() && (pos = self.view().find(from.view(), pos)) != std::string_view::npos;
       pos += from.size())
    ++hits;
  runtime.budget().text(self.size() + std::min(hits, most) * to.size());
  return self.replace(from, to, most);
}

// startswith and endswith take one string or a tuple of them.
template <bool at_start>
Value has_affix(Runtime& runtime, const Text& self, const Arguments& arguments) {
  const Value* affix = arguments.get(0, "prefix");
  const auto matches = [&](const Text& t) {
    return at_start ? self.view().starts_with(t.view()) : self.view().ends_with(t.view());
  };
  if (const List* list = affix ? affix->as_list() : nullptr; list && list->kind == List::Kind::kTuple) {
    runtime.budget().step(list->items.size());
    return std::any_of(list->items.begin(), list->items.end(),
                       [&](const Value& v) { return v.as_text() && matches(*v.as_text()); });
  }
  return matches(text_argument(arguments, 0, "prefix", at_start ? "startswith" : "endswith"));
}

template <bool prefix>
Value without_affix(Runtime& runtime, const Text& self, const Arguments& arguments) {
  runtime.budget().text(self.size());
  const Text& affix = text_argument(arguments, 0, "prefix", "removeprefix");
  if (prefix && self.view().starts_with(affix.view())) return self.slice(affix.size(), self.size());
  if (!prefix && self.view().ends_with(affix.view())) return self.slice(0, self.size() - affix.size());
  return self;
}

template <bool from_right, bool must_exist>
Value find(Runtime& runtime, const Text& self, const Arguments& arguments) {
  runtime.budget().step(self.size() / 64);
  const Text& wanted = text_argument(arguments, 0, "sub", "find");
  const size_t hit = from_right ? self.view().rfind(wanted.view()) : self.view().find(wanted.view());
  if (hit == std::string_view::npos) {
    if (must_exist) fail(ErrorKind::kRuntime, "substring not found");
    return Value::integer(-1);
  }
  return Value::integer(static_cast<int64_t>(count_code_points(self.view().substr(0, hit))));
}

Value count(Runtime& runtime, const Text& self, const Arguments& arguments) {
  runtime.budget().step(self.size() / 64);
  const Text& wanted = text_argument(arguments, 0, "sub", "count");
  if (wanted.empty()) return Value::integer(static_cast<int64_t>(count_code_points(self.view()) + 1));
  int64_t n = 0;
  for (size_t pos = 0; (pos = self.view().find(wanted.view(), pos)) != std::string_view::npos; pos += wanted.size())
    ++n;
  return Value::integer(n);
}

Value join(Runtime& runtime, const Text& self, const Arguments& arguments) {
  const Value* items = arguments.get(0, "iterable");
  if (!items) fail(ErrorKind::kType, "join() takes exactly one argument");
  Text out;
  bool first = true;
  for (const Value& item : iterate(runtime.budget(), *items)) {
    require_defined(item);
    const Text* text = item.as_text();
    if (!text)
      fail(ErrorKind::kType, "sequence item: expected str instance, " + std::string(item.type_name()) + " found");
    if (!first) out.append(self);
    out.append(*text);
    first = false;
    if (out.size() > runtime.budget().output_bytes()) fail(ErrorKind::kLimit, "a string is over the output limit");
  }
  runtime.budget().text(out.size());
  return out;
}

// Pads to a width in characters: -1 on the right, 1 on the left, 0 on both sides.
template <int side>
Value pad(Runtime& runtime, const Text& self, const Arguments& arguments) {
  const Value* width_value = arguments.get(0, "width");
  if (!width_value) fail(ErrorKind::kType, "the width is missing");
  const size_t width = limit_argument(arguments, 0, "width");
  const Text fill = arguments.get(1, "fillchar") ? text_argument(arguments, 1, "fillchar", "center") : Text(" ");
  const size_t length = count_code_points(self.view());
  if (width == SIZE_MAX || width <= length) return self;
  runtime.budget().text(self.size() + (width - length) * fill.size());
  const size_t missing = width - length;
  const size_t before = side > 0 ? missing : side < 0 ? 0 : missing / 2 + (missing & width & 1);
  Text out;
  for (size_t i = 0; i < before; ++i) out.append(fill);
  out.append(self);
  for (size_t i = before; i < missing; ++i) out.append(fill);
  return out;
}

Value zero_fill(Runtime& runtime, const Text& self, const Arguments& arguments) {
  const size_t width = limit_argument(arguments, 0, "width"), length = count_code_points(self.view());
  if (width == SIZE_MAX || width <= length) return self;
  runtime.budget().text(width + self.size());
  const size_t sign = self.view().starts_with('-') || self.view().starts_with('+') ? 1 : 0;
  Text out = self.slice(0, sign);
  out.append(std::string(width - length, '0'));
  out.append(self.slice(sign, self.size()));
  return out;
}

// All characters in the class, and at least one.
template <ClassMask mask, bool spaces = false>
Value all_in(Runtime& runtime, const Text& self, const Arguments&) {
  runtime.budget().step(self.size() / 64);
  for (size_t pos = 0; pos < self.size(); pos += decode_utf8(self.view(), pos).length) {
    const uint32_t c = decode_utf8(self.view(), pos).code_point;
    if (spaces ? !is_python_space(c) : (class_of(c) & mask) == 0) return false;
  }
  return !self.empty();
}

// There are cased characters and all of them have the wanted case.
template <bool upper>
Value has_case(Runtime& runtime, const Text& self, const Arguments&) {
  runtime.budget().step(self.size() / 16);
  const std::string same = upper ? to_upper(self.view()) : to_lower(self.view());
  const std::string other = upper ? to_lower(self.view()) : to_upper(self.view());
  return same == self.bytes() && other != self.bytes();
}

Value is_ascii(Runtime&, const Text& self, const Arguments&) {
  return std::all_of(self.view().begin(), self.view().end(),
                     [](char c) { return static_cast<unsigned char>(c) < 128; });
}

Value swap_case(Runtime& runtime, const Text& self, const Arguments&) {
  runtime.budget().text(self.size() * 3);
  std::string out;
  for (size_t pos = 0; pos < self.size();) {
    const size_t length = decode_utf8(self.view(), pos).length;
    const std::string_view c = self.view().substr(pos, length);
    const std::string upper = to_upper(c);
    out += upper == c ? to_lower(c) : upper;
    pos += length;
  }
  return Text::made(std::move(out), self.has_user_bytes());
}

constexpr ClassMask kDecimal = mask_of(Category::kNd);

struct Entry {
  std::string_view name;
  Method method;
};
constexpr Entry kMethods[] = {
    {"capitalize", mapped<to_capitalized>},
    {"casefold", mapped<to_lower>},
    {"center", pad<0>},
    {"count", count},
    {"endswith", has_affix<false>},
    {"find", find<false, false>},
    {"format", [](Runtime& r, const Text& self, const Arguments& a) { return format_braces(r, self, a); }},
    {"index", find<false, true>},
    {"isalnum", all_in<kLetter | kNumber>},
    {"isalpha", all_in<kLetter>},
    {"isascii", is_ascii},
    {"isdecimal", all_in<kDecimal>},
    {"isdigit", all_in<kDecimal>},
    {"islower", has_case<false>},
    {"isnumeric", all_in<kNumber>},
    {"isspace", all_in<0, true>},
    {"isupper", has_case<true>},
    {"join", join},
    {"ljust", pad<-1>},
    {"lower", mapped<to_lower>},
    {"lstrip", strip<true, false>},
    {"partition", partition<false>},
    {"removeprefix", without_affix<true>},
    {"removesuffix", without_affix<false>},
    {"replace", replace},
    {"rfind", find<true, false>},
    {"rindex", find<true, true>},
    {"rjust", pad<1>},
    {"rpartition", partition<true>},
    {"rsplit", split<true>},
    {"rstrip", strip<false, true>},
    {"split", split<false>},
    {"splitlines", split_lines},
    {"startswith", has_affix<true>},
    {"strip", strip<true, true>},
    {"swapcase", swap_case},
    {"title", mapped<to_title>},
    {"upper", mapped<to_upper>},
    {"zfill", zero_fill},
};

const Entry* find_method(std::string_view name) {
  const auto hit =
      std::find_if(std::begin(kMethods), std::end(kMethods), [&](const Entry& e) { return e.name == name; });
  return hit == std::end(kMethods) ? nullptr : hit;
}

}  // namespace

bool has_text_method(std::string_view name) {
  return find_method(name) != nullptr;
}

Value call_text_method(Runtime& runtime, const Text& self, std::string_view name, const Arguments& arguments) {
  return find_method(name)->method(runtime, self, arguments);
}

}  // namespace mhub::text::jinja
