// SPDX-License-Identifier: Apache-2.0
#include "formatting.h"

#include <fmt/format.h>

#include <cmath>

#include "../utf8.h"
#include "operators.h"
#include "printing.h"

namespace mhub::text::jinja {
namespace {

constexpr size_t kMaxWidth = 10'000;

struct Spec {
  std::string fill = " ";
  char align = '\0';  // < > ^ =
  char sign = '-';
  size_t width = 0;
  int precision = -1;
  bool comma = false;
  char type = '\0';
};

[[noreturn]] void bad_format(std::string what) {
  fail(ErrorKind::kRuntime, "formatting a string: " + std::move(what));
}

double as_double(const Value& value) {
  if (const double* d = value.as_double()) return *d;
  return static_cast<double>(to_integer(value, "format"));
}

std::string with_commas(std::string digits) {
  const size_t end = std::min(digits.find('.'), digits.size());
  for (size_t pos = end; pos > 3 && std::isdigit(static_cast<unsigned char>(digits[pos - 4]));) {
    pos -= 3;
    digits.insert(pos, ",");
  }
  return digits;
}

std::string digits_of(Int value, int base, bool upper) {
  if (base == 10) return to_decimal(value < 0 ? -value : value);
  std::string out;
  const char* alphabet = upper ? "0123456789ABCDEF" : "0123456789abcdef";
  for (Int v = value < 0 ? -value : value; v != 0 || out.empty(); v /= base)
    out.insert(0, 1, alphabet[static_cast<int>(v % base)]);
  return out;
}

// The number without padding; its sign apart.
std::string number_text(const Value& value, const Spec& spec, std::string& sign) {
  const char type = spec.type;
  std::string out;
  bool negative = false;
  if (type == 'd' || type == 'x' || type == 'X' || type == 'o' || type == 'b' || (type == '\0' && !value.as_double())) {
    Int i = 0;
    if (const double* d = value.as_double()) {
      if (!std::isfinite(*d) || std::fabs(*d) > 1e30) bad_format("a number is out of range");
      i = static_cast<Int>(*d);
    } else {
      i = to_integer(value, "format");
    }
    negative = i < 0;
    out = digits_of(i, type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10, type == 'X');
  } else {
    double d = as_double(value);
    negative = std::signbit(d);
    d = std::fabs(d);
    const int precision = spec.precision < 0 ? 6 : spec.precision;
    switch (type) {
      case 'f':
      case 'F':
        out = fmt::format("{:.{}f}", d, precision);
        break;
      case 'e':
        out = fmt::format("{:.{}e}", d, precision);
        break;
      case 'E':
        out = fmt::format("{:.{}E}", d, precision);
        break;
      case 'g':
        out = fmt::format("{:.{}g}", d, precision);
        break;
      case 'G':
        out = fmt::format("{:.{}G}", d, precision);
        break;
      case '%':
        out = fmt::format("{:.{}f}%", d * 100, precision);
        break;
      case '\0':
        out = spec.precision < 0 ? repr(d) : fmt::format("{:.{}g}", d, precision);
        break;
      default:
        bad_format(std::string("unknown type '") + type + "'");
    }
  }
  sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  return spec.comma ? with_commas(out) : out;
}

Text pad(Text body, const std::string& sign, const Spec& spec, char default_align) {
  const size_t length = count_code_points(body.view()) + sign.size();
  const size_t missing = spec.width > length ? spec.width - length : 0;
  const char align = spec.align ? spec.align : default_align;
  const size_t before = align == '>' || align == '=' ? missing : align == '^' ? missing / 2 : 0;
  const auto fill = [&](size_t n) {
    std::string out;
    for (size_t i = 0; i < n; ++i) out += spec.fill;
    return out;
  };
  Text out;
  if (align == '=') out.append(sign);
  out.append(fill(before));
  if (align != '=') out.append(sign);
  out.append(body);
  out.append(fill(missing - before));
  return out;
}

Text format_value(Runtime& runtime, const Value& value, const Spec& spec) {
  if (value.is_number() && spec.type != 's' && !(value.as_bool() && spec.type == '\0')) {
    std::string sign;
    std::string digits = number_text(value, spec, sign);
    return pad(Text(std::move(digits)), sign, spec, '>');
  }
  require_defined(value);
  if (spec.type != 's' && spec.type != '\0') {
    bad_format(std::string("type '") + spec.type + "' needs a number, not " + std::string(value.type_name()));
  }
  Text text = to_text(runtime.budget(), value);
  if (spec.precision >= 0) {
    text = *get_slice(runtime, text, Value(), Value::integer(spec.precision), Value()).as_text();
  }
  return pad(std::move(text), "", spec, '<');
}

size_t read_number(std::string_view text, size_t& pos, size_t most) {
  size_t n = 0;
  for (; pos < text.size() && text[pos] >= '0' && text[pos] <= '9'; ++pos) {
    n = n * 10 + static_cast<size_t>(text[pos] - '0');
    if (n > most) bad_format("a width or precision is over " + std::to_string(most));
  }
  return n;
}

Spec parse_spec(std::string_view text) {
  Spec spec;
  size_t pos = 0;
  const auto is_align = [&](size_t p) {
    return p < text.size() && std::string_view("<>^=").find(text[p]) != text.npos;
  };
  const size_t first = text.empty() ? 0 : decode_utf8(text, 0).length;
  if (!text.empty() && is_align(first)) {
    spec.fill = text.substr(0, first);
    spec.align = text[first];
    pos = first + 1;
  } else if (is_align(0)) {
    spec.align = text[pos++];
  }
  if (pos < text.size() && std::string_view("+- ").find(text[pos]) != text.npos) spec.sign = text[pos++];
  if (pos < text.size() && text[pos] == '0') {
    ++pos;
    if (!spec.align) spec.fill = "0", spec.align = '=';
  }
  spec.width = read_number(text, pos, kMaxWidth);
  if (pos < text.size() && text[pos] == ',') spec.comma = true, ++pos;
  if (pos < text.size() && text[pos] == '.') {
    ++pos;
    spec.precision = static_cast<int>(read_number(text, pos, 100));
  }
  if (pos < text.size()) spec.type = text[pos++];
  if (pos != text.size()) bad_format("unknown specification '" + std::string(text.substr(0, 40)) + "'");
  return spec;
}

// The arguments of one % operation: a tuple is used up in order, a dict by name, anything else once.
class PercentArguments {
 public:
  explicit PercentArguments(const Value& value) : value_(value) {
    const List* list = value.as_list();
    tuple_ = list && list->kind == List::Kind::kTuple ? list : nullptr;
  }
  Value next() {
    const size_t available = tuple_ ? tuple_->items.size() : 1;
    if (used_ >= available) fail(ErrorKind::kType, "not enough arguments for format string");
    const size_t i = used_++;
    return tuple_ ? tuple_->items[i] : value_;
  }
  Value named(Runtime& runtime, std::string_view name) {
    used_ = 1;
    const Dict* dict = value_.as_dict();
    if (!dict) fail(ErrorKind::kType, "format requires a mapping");
    const Value* value = dict->find(name);
    if (!value) bad_format("no key '" + std::string(name) + "'");
    runtime.budget().step();
    return *value;
  }
  void finish() const {
    if (used_ < (tuple_ ? tuple_->items.size() : value_.as_dict() ? 0 : 1)) {
      fail(ErrorKind::kType, "not all arguments converted during string formatting");
    }
  }

 private:
  const Value& value_;
  const List* tuple_;
  size_t used_ = 0;
};

}  // namespace

Value format_percent(Runtime& runtime, const Text& format, const Value& value) {
  PercentArguments arguments(value);
  const std::string_view text = format.view();
  Text out;
  for (size_t pos = 0; pos < text.size();) {
    const size_t percent = std::min(text.find('%', pos), text.size());
    out.append(format.slice(pos, percent));
    if (percent == text.size()) break;
    pos = percent + 1;
    std::optional<Value> named;
    if (pos < text.size() && text[pos] == '(') {
      const size_t close = text.find(')', pos);
      if (close == text.npos) bad_format("a key is not closed");
      named = arguments.named(runtime, text.substr(pos + 1, close - pos - 1));
      pos = close + 1;
    }
    Spec spec;
    spec.align = '>';
    bool zero = false;
    for (; pos < text.size() && std::string_view("-0+ #").find(text[pos]) != text.npos; ++pos) {
      if (text[pos] == '-') spec.align = '<';
      if (text[pos] == '0') zero = true;
      if (text[pos] == '+' || text[pos] == ' ') spec.sign = text[pos];
    }
    spec.width = read_number(text, pos, kMaxWidth);
    if (pos < text.size() && text[pos] == '.') {
      ++pos;
      spec.precision = static_cast<int>(read_number(text, pos, 100));
    }
    if (pos >= text.size()) bad_format("incomplete format");
    const char type = text[pos++];
    if (type == '%') {
      out.append("%");
      continue;
    }
    const Value argument = named ? *named : arguments.next();
    if (type == 's' || type == 'r') {
      spec.type = 's';
      const Text shown = type == 's' ? to_text(runtime.budget(), argument) : repr(runtime.budget(), argument);
      out.append(format_value(runtime, shown, spec));
    } else {
      if (zero && spec.align == '>') spec.fill = "0", spec.align = '=';
      if (!argument.is_number()) {
        require_defined(argument);
        fail(ErrorKind::kType,
             std::string("%") + type + " format: a number is required, not " + std::string(argument.type_name()));
      }
      spec.type = type == 'i' || type == 'u' ? 'd' : type;
      out.append(format_value(runtime, argument, spec));
    }
    runtime.budget().text(out.size());
  }
  arguments.finish();
  return out;
}

Value format_braces(Runtime& runtime, const Text& format, const Arguments& arguments) {
  const std::string_view text = format.view();
  Text out;
  size_t automatic = 0;
  for (size_t pos = 0; pos < text.size();) {
    const size_t brace = std::min(text.find_first_of("{}", pos), text.size());
    out.append(format.slice(pos, brace));
    if (brace == text.size()) break;
    if (brace + 1 < text.size() && text[brace + 1] == text[brace]) {
      out.append(format.slice(brace, brace + 1));
      pos = brace + 2;
      continue;
    }
    const size_t close = text[brace] == '{' ? text.find('}', brace) : text.npos;
    if (close == text.npos) bad_format("single brace in format string");
    const std::string_view field = text.substr(brace + 1, close - brace - 1);
    const size_t colon = std::min(field.find(':'), field.size());
    const size_t bang = std::min(field.substr(0, colon).find('!'), colon);
    const std::string_view name = field.substr(0, bang);
    const Value* argument = nullptr;
    if (name.empty()) {
      argument = arguments.get(automatic++, "");
    } else if (name.find_first_not_of("0123456789") == name.npos && name.size() < 6) {
      argument = arguments.get(static_cast<size_t>(std::stoul(std::string(name))), "");
    } else {
      argument = arguments.get(SIZE_MAX, name);
    }
    if (!argument) bad_format("no argument for field '" + std::string(name.substr(0, 40)) + "'");
    Value value = *argument;
    const std::string_view conversion = field.substr(bang, colon - bang);
    if (conversion == "!r") value = repr(runtime.budget(), value);
    if (conversion == "!s") value = to_text(runtime.budget(), value);
    out.append(format_value(runtime, value, parse_spec(field.substr(std::min(colon + 1, field.size())))));
    runtime.budget().text(out.size());
    pos = close + 1;
  }
  return out;
}

}  // namespace mhub::text::jinja
