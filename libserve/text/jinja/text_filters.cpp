// SPDX-License-Identifier: Apache-2.0
// Filters that make or read strings and numbers.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <optional>

#include "../unicode.h"
#include "../utf8.h"
#include "filters.h"
#include "formatting.h"
#include "methods.h"
#include "operators.h"
#include "printing.h"

namespace mhub::text::jinja {
namespace {

// The value as a string first, then the method of that name.
Value by_method(Runtime& runtime, const Value& value, std::string_view method, const Arguments& arguments) {
  return call_text_method(runtime, to_text(runtime.budget(), value), method, arguments);
}
Value upper(Runtime& r, const Value& v, const Arguments& a) {
  return by_method(r, v, "upper", a);
}
Value lower(Runtime& r, const Value& v, const Arguments& a) {
  return by_method(r, v, "lower", a);
}
Value capitalize(Runtime& r, const Value& v, const Arguments& a) {
  return by_method(r, v, "capitalize", a);
}
Value trim(Runtime& r, const Value& v, const Arguments& a) {
  return by_method(r, v, "strip", a);
}

Value center(Runtime& r, const Value& v, const Arguments& a) {
  const Value* width = a.get(0, "width");
  return by_method(r, v, "center", {{width ? *width : Value::integer(80)}, {}});
}

Value replace(Runtime& runtime, const Value& value, const Arguments& arguments) {
  const Value *from = arguments.get(0, "old"), *to = arguments.get(1, "new"), *count = arguments.get(2, "count");
  if (!from || !to) fail(ErrorKind::kType, "replace needs what to replace and by what");
  Arguments texts;
  texts.positional = {to_text(runtime.budget(), *from), to_text(runtime.budget(), *to)};
  if (count && !count->is_none()) texts.positional.push_back(*count);
  return by_method(runtime, value, "replace", texts);
}

// Upper case after white space, - ( { [ <, lower case elsewhere.
Value title(Runtime& runtime, const Value& value, const Arguments&) {
  const Text text = to_text(runtime.budget(), value);
  runtime.budget().text(text.size() * 3);
  std::string out;
  bool begins = true;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = decode_utf8(text.view(), pos);
    const std::string_view part = text.view().substr(pos, c.length);
    out += begins ? to_upper(part) : to_lower(part);
    begins = is_python_space(c.code_point) ||
             (c.code_point < 128 &&
              std::string_view("-({[<").find(static_cast<char>(c.code_point)) != std::string_view::npos);
    pos += c.length;
  }
  return Text::made(std::move(out), text.has_user_bytes());
}

Value string(Runtime& runtime, const Value& value, const Arguments&) {
  return to_text(runtime.budget(), value);
}
Value safe(Runtime& runtime, const Value& value, const Arguments&) {
  return to_text(runtime.budget(), value).as_markup();
}
Value force_escape(Runtime& runtime, const Value& value, const Arguments&) {
  const Text text = to_text(runtime.budget(), value);
  runtime.budget().text(text.size() * 5);
  return text.escaped();
}
Value escape(Runtime& runtime, const Value& value, const Arguments& arguments) {
  if (const Text* text = value.as_text(); text && text->is_markup()) return value;
  return force_escape(runtime, value, arguments);
}

Value format(Runtime& runtime, const Value& value, const Arguments& arguments) {
  const Text text = to_text(runtime.budget(), value);
  if (arguments.named.empty())
    return format_percent(runtime, text, Value::list(arguments.positional, List::Kind::kTuple));
  std::vector<Dict::Item> items;
  for (const auto& [name, item] : arguments.named) items.emplace_back(Value::text(name), item);
  return format_percent(runtime, text, Value::dict(std::move(items)));
}

Value indent(Runtime& runtime, const Value& value, const Arguments& arguments) {
  const Text text = to_text(runtime.budget(), value);
  const Value *width = arguments.get(0, "width"), *first = arguments.get(1, "first"),
              *blank = arguments.get(2, "blank");
  Text indention;
  if (width && width->as_text()) {
    indention = *width->as_text();
  } else {
    const Int n = width ? to_integer(*width, "indent") : Int{4};
    if (n > 1000) fail(ErrorKind::kLimit, "an indentation is over 1000");
    indention = Text(std::string(n < 0 ? 0 : static_cast<size_t>(n), ' '));
  }
  Text ended = text;
  ended.append("\n");  // so that a last empty line counts
  const std::vector<Text> lines = ended.split_lines(false);
  runtime.budget().text(text.size() + lines.size() * (indention.size() + 1));
  Text out;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out.append("\n");
    const bool wanted = i == 0 ? first && first->truthy() : (blank && blank->truthy()) || !lines[i].empty();
    if (wanted) out.append(indention);
    out.append(lines[i]);
  }
  return out;
}

Value to_json_filter(Runtime& runtime, const Value& value, const Arguments& arguments) {
  JsonStyle style;
  const Value *ascii = arguments.get(0, "ensure_ascii"), *indent_value = arguments.get(1, "indent"),
              *separators = arguments.get(2, "separators"), *sort_keys = arguments.get(3, "sort_keys");
  style.ensure_ascii = ascii && ascii->truthy();
  style.sort_keys = sort_keys && sort_keys->truthy();
  if (indent_value && !indent_value->is_none()) {
    const Int n = to_integer(*indent_value, "tojson indent");
    if (n > 100) fail(ErrorKind::kLimit, "an indentation is over 100");
    style.indent = n < 0 ? 0 : static_cast<int>(n);
    style.item_separator = ",";
  }
  if (separators && !separators->is_none()) {
    const List* pair = separators->as_list();
    if (!pair || pair->items.size() != 2 || !pair->items[0].as_text() || !pair->items[1].as_text()) {
      fail(ErrorKind::kType, "tojson separators are a pair of strings");
    }
    style.item_separator = pair->items[0].as_text()->bytes();
    style.key_separator = pair->items[1].as_text()->bytes();
  }
  return to_json(runtime.budget(), value, style);
}

Value absolute(Runtime&, const Value& value, const Arguments&) {
  if (const double* d = value.as_double()) return std::fabs(*d);
  const Int i = to_integer(value, "abs");
  return i < 0 ? negate(value, '-') : Value(i);
}

// Python's int(text, base) and float(text), as far as templates use them.
std::optional<Int> parse_integer(const Text& text, int base) {
  const Text stripped = text.strip(nullptr, true, true);
  std::string_view digits = stripped.view();
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.empty() || digits[0] == '-')
    return std::nullopt;
  return Int{negative ? -value : value};
}
std::optional<double> parse_float(const Text& text) {
  const Text stripped = text.strip(nullptr, true, true);
  std::string_view digits = stripped.view();
  if (digits.starts_with('+')) digits.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.empty()) return std::nullopt;
  return value;
}

Value to_int(Runtime&, const Value& value, const Arguments& arguments) {
  const Value *otherwise = arguments.get(0, "default"), *base = arguments.get(1, "base");
  const Int wanted_base = base ? to_integer(*base, "int base") : Int{10};
  if (wanted_base < 2 || wanted_base > 36) fail(ErrorKind::kRuntime, "int base is not between 2 and 36");
  std::optional<double> number;
  if (const Text* text = value.as_text()) {
    if (const auto i = parse_integer(*text, static_cast<int>(wanted_base))) return Value(*i);
    number = parse_float(*text);
  } else if (const double* d = value.as_double()) {
    number = *d;
  } else if (value.as_bool() || value.as_int()) {
    return Value(to_integer(value, "int"));
  } else {
    require_defined(value);
  }
  if (number && std::isfinite(*number) && std::fabs(*number) < 1e30) return Value(static_cast<Int>(*number));
  return otherwise ? *otherwise : Value::integer(0);
}

Value to_float(Runtime&, const Value& value, const Arguments& arguments) {
  const Value* otherwise = arguments.get(0, "default");
  if (const double* d = value.as_double()) return *d;
  if (value.is_number()) return static_cast<double>(to_integer(value, "float"));
  require_defined(value);
  if (const Text* text = value.as_text()) {
    if (const auto d = parse_float(*text)) return *d;
  }
  return otherwise ? *otherwise : Value(0.0);
}

Value round_number(Runtime&, const Value& value, const Arguments& arguments) {
  const Value *precision = arguments.get(0, "precision"), *method = arguments.get(1, "method");
  const Int digits = precision ? to_integer(*precision, "round") : Int{0};
  if (digits < -300 || digits > 300) fail(ErrorKind::kRuntime, "round precision is out of range");
  const double number = value.as_double() ? *value.as_double() : static_cast<double>(to_integer(value, "round"));
  const double scale = std::pow(10.0, static_cast<double>(digits));
  const std::string_view how = method && method->as_text() ? method->as_text()->view() : "common";
  if (how == "ceil") return std::ceil(number * scale) / scale;
  if (how == "floor") return std::floor(number * scale) / scale;
  if (how != "common") fail(ErrorKind::kRuntime, "round method must be common, ceil or floor");
  return std::nearbyint(number * scale) / scale;  // to even, as Python does
}

Value default_value(Runtime&, const Value& value, const Arguments& arguments) {
  const Value *otherwise = arguments.get(0, "default_value"), *falsy_too = arguments.get(1, "boolean");
  const bool replaced = value.is_undefined() || (falsy_too && falsy_too->truthy() && !value.truthy());
  if (!replaced) return value;
  return otherwise ? *otherwise : Value::text("");
}

struct Entry {
  std::string_view name;
  Filter filter;
};
constexpr Entry kFilters[] = {
    {"abs", absolute},
    {"capitalize", capitalize},
    {"center", center},
    {"d", default_value},
    {"default", default_value},
    {"e", escape},
    {"escape", escape},
    {"float", to_float},
    {"forceescape", force_escape},
    {"format", format},
    {"indent", indent},
    {"int", to_int},
    {"lower", lower},
    {"replace", replace},
    {"round", round_number},
    {"safe", safe},
    {"string", string},
    {"title", title},
    {"tojson", to_json_filter},
    {"trim", trim},
    {"upper", upper},
};

}  // namespace

Filter find_text_filter(std::string_view name) {
  const auto hit =
      std::find_if(std::begin(kFilters), std::end(kFilters), [&](const Entry& e) { return e.name == name; });
  return hit == std::end(kFilters) ? nullptr : hit->filter;
}

}  // namespace mhub::text::jinja
