// SPDX-License-Identifier: Apache-2.0
// Filters that shorten, count and quote text for readers and links.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "../unicode.h"
#include "../utf8.h"
#include "filters.h"
#include "operators.h"
#include "printing.h"

namespace mhub::text::jinja {
namespace {

// Byte position of the code point number `n`.
size_t position_of(std::string_view text, size_t n) {
  size_t pos = 0;
  while (n-- > 0 && pos < text.size()) pos += decode_utf8(text, pos).length;
  return pos;
}

Value truncate(Runtime& runtime, const Value& value, const Arguments& arguments) {
  const Value *length_arg = arguments.get(0, "length"), *kill_words = arguments.get(1, "killwords"),
              *end_arg = arguments.get(2, "end"), *leeway_arg = arguments.get(3, "leeway");
  const Text text = to_text(runtime.budget(), value);
  const Text end = end_arg ? to_text(runtime.budget(), *end_arg) : Text("...");
  const Int length = length_arg ? to_integer(*length_arg, "truncate") : Int{255};
  const Int leeway = leeway_arg && !leeway_arg->is_none() ? to_integer(*leeway_arg, "truncate") : Int{5};
  const auto end_length = static_cast<Int>(count_code_points(end.view()));
  if (length < end_length) fail(ErrorKind::kRuntime, "truncate expects a length of at least that of its end");
  if (leeway < 0) fail(ErrorKind::kRuntime, "truncate expects a leeway of at least 0");
  runtime.budget().text(text.size());
  if (static_cast<Int>(count_code_points(text.view())) <= length + leeway) return text;
  Text out = text.slice(0, position_of(text.view(), static_cast<size_t>(length - end_length)));
  if (!kill_words || !kill_words->truthy()) {
    const size_t space = out.view().rfind(' ');
    if (space != std::string_view::npos) out = out.slice(0, space);
  }
  out.append(end);
  return out;
}

Value word_count(Runtime& runtime, const Value& value, const Arguments&) {
  const Text text = to_text(runtime.budget(), value);
  runtime.budget().text(text.size());
  int64_t words = 0;
  bool inside = false;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = decode_utf8(text.view(), pos);
    const bool word = (class_of(c.code_point) & (kLetter | kNumber)) != 0 || c.code_point == '_';
    if (word && !inside) ++words;
    inside = word;
    pos += c.length;
  }
  return Value::integer(words);
}

// Percent encoding of what is no letter, digit or one of _.-~ ; in a query / too, and + for a space.
Text quote(const Text& text, bool query) {
  std::string out;
  for (const char c : text.view()) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
                       c == '.' || c == '-' || c == '~' || (c == '/' && !query);
    if (plain) {
      out.push_back(c);
    } else if (c == ' ' && query) {
      out.push_back('+');
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return Text::made(std::move(out), text.has_user_bytes());
}

Value url_encode(Runtime& runtime, const Value& value, const Arguments&) {
  std::vector<Value> pairs;
  if (const Dict* dict = value.as_dict()) {
    for (const auto& [key, item] : dict->items()) pairs.push_back(Value::list({key, item}, List::Kind::kTuple));
  } else if (value.as_list()) {
    pairs = iterate(runtime.budget(), value);
  } else {
    const Text text = to_text(runtime.budget(), value);
    runtime.budget().text(text.size() * 3);
    return quote(text, false);
  }
  Text out;
  for (const Value& pair : pairs) {
    const std::vector<Value> parts = iterate(runtime.budget(), pair);
    if (parts.size() != 2) fail(ErrorKind::kRuntime, "urlencode needs pairs of a name and a value");
    if (!out.empty()) out.append("&");
    const Text name = to_text(runtime.budget(), parts[0]), item = to_text(runtime.budget(), parts[1]);
    runtime.budget().text((name.size() + item.size()) * 3);
    out.append(quote(name, true));
    out.append("=");
    out.append(quote(item, true));
    if (out.size() > runtime.budget().output_bytes()) fail(ErrorKind::kLimit, "a string is over the output limit");
  }
  return out;
}

Value file_size(Runtime&, const Value& value, const Arguments& arguments) {
  const Value* binary = arguments.get(0, "binary");
  const bool by_1024 = binary && binary->truthy();
  const double base = by_1024 ? 1024 : 1000;
  const double bytes =
      value.as_double() ? *value.as_double() : static_cast<double>(to_integer(value, "filesizeformat"));
  if (bytes == 1) return Value::text("1 Byte");
  if (bytes < base)
    return Value::text(fmt::format("{:.0f} Bytes", bytes < 0 ? -std::floor(-bytes) : std::floor(bytes)));
  double unit = base;
  std::string_view prefix;
  for (const std::string_view p : {"k", "M", "G", "T", "P", "E", "Z", "Y"}) {
    prefix = p;
    unit *= base;
    if (bytes < unit) break;
  }
  const std::string name = by_1024 ? (prefix == "k" ? "K" : std::string(prefix)) + "iB" : std::string(prefix) + "B";
  return Value::text(fmt::format("{:.1f} {}", base * bytes / unit, name));
}

struct Entry {
  std::string_view name;
  Filter filter;
};
constexpr Entry kFilters[] = {
    {"filesizeformat", file_size},
    {"truncate", truncate},
    {"urlencode", url_encode},
    {"wordcount", word_count},
};

}  // namespace

Filter find_prose_filter(std::string_view name) {
  const auto hit =
      std::find_if(std::begin(kFilters), std::end(kFilters), [&](const Entry& e) { return e.name == name; });
  return hit == std::end(kFilters) ? nullptr : hit->filter;
}

}  // namespace mhub::text::jinja
