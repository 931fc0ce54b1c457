// SPDX-License-Identifier: Apache-2.0
#include "printing.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "../unicode.h"
#include "../utf8.h"

namespace mhub::text::jinja {
namespace {

bool is_printable(uint32_t c) {
  constexpr ClassMask kHidden =
      range_of(Category::kCc, Category::kCo) | mask_of(Category::kCn) | range_of(Category::kZs, Category::kZp);
  return c == ' ' || (class_of(c) & kHidden) == 0;
}

std::string quoted(std::string_view text) {
  const char quote = text.find('\'') != text.npos && text.find('"') == text.npos ? '"' : '\'';
  std::string out(1, quote);
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = decode_utf8(text, pos);
    if (c.code_point == '\\' || c.code_point == static_cast<unsigned char>(quote)) {
      out += '\\';
      out += static_cast<char>(c.code_point);
    } else if (c.code_point == '\n') {
      out += "\\n";
    } else if (c.code_point == '\r') {
      out += "\\r";
    } else if (c.code_point == '\t') {
      out += "\\t";
    } else if (c.code_point == kInvalid || is_printable(c.code_point)) {
      out.append(text.substr(pos, c.length));
    } else if (c.code_point < 0x100) {
      out += fmt::format("\\x{:02x}", c.code_point);
    } else if (c.code_point < 0x10000) {
      out += fmt::format("\\u{:04x}", c.code_point);
    } else {
      out += fmt::format("\\U{:08x}", c.code_point);
    }
    pos += c.length;
  }
  return out + quote;
}

class ReprWriter {
 public:
  explicit ReprWriter(Budget& budget) : budget_(budget) {}

  void write(const Value& value) {
    budget_.step();
    if (const Text* t = value.as_text()) {
      out.append(Text::made(quoted(t->view()), t->has_user_bytes()));
    } else if (const List* l = value.as_list()) {
      write_list(*l);
    } else if (const Dict* d = value.as_dict()) {
      out.append("{");
      const char* separator = "";
      for (const auto& [key, item] : d->items()) {
        out.append(separator);
        write(key);
        out.append(": ");
        write(item);
        separator = ", ";
      }
      out.append("}");
    } else {
      out.append(to_text(budget_, value));
    }
    if (out.size() > budget_.output_bytes()) fail(ErrorKind::kLimit, "a string is over the output limit");
  }

  Text out;

 private:
  void write_list(const List& list) {
    if (list.kind == List::Kind::kGenerator) return out.append("<generator object>");
    if (list.kind == List::Kind::kRange) return write_range(list);
    const bool view =
        list.kind == List::Kind::kKeys || list.kind == List::Kind::kValues || list.kind == List::Kind::kItems;
    if (view) out.append(std::string(Value::list({}, list.kind).type_name()) + "(");
    const bool tuple = list.kind == List::Kind::kTuple;
    out.append(tuple ? "(" : "[");
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out.append(", ");
      write(list.items[i]);
    }
    out.append(tuple ? (list.items.size() == 1 ? ",)" : ")") : "]");
    if (view) out.append(")");
  }

  // The bounds as far as the items tell them.
  void write_range(const List& list) {
    const Int first = list.items.empty() ? 0 : *list.items.front().as_int();
    const Int step = list.items.size() < 2 ? 1 : *list.items[1].as_int() - first;
    const Int stop = list.items.empty() ? 0 : *list.items.back().as_int() + step;
    out.append("range(" + to_decimal(first) + ", " + to_decimal(stop) + (step == 1 ? "" : ", " + to_decimal(step)) +
               ")");
  }

  Budget& budget_;
};

class JsonWriter {
 public:
  JsonWriter(Budget& budget, const JsonStyle& style) : budget_(budget), style_(style) {}

  void write(const Value& value, int level) {
    budget_.step();
    if (value.is_none()) {
      out.append("null");
    } else if (const bool* b = value.as_bool()) {
      out.append(*b ? "true" : "false");
    } else if (const Int* i = value.as_int()) {
      out.append(to_decimal(*i));
    } else if (const double* d = value.as_double()) {
      out.append(std::isfinite(*d) ? repr(*d) : std::isnan(*d) ? "NaN" : *d > 0 ? "Infinity" : "-Infinity");
    } else if (const Text* t = value.as_text()) {
      write_string(*t);
    } else if (const List* l = value.as_list(); l && (l->kind == List::Kind::kList || l->kind == List::Kind::kTuple)) {
      write_list(*l, level);
    } else if (const Dict* dict = value.as_dict()) {
      write_dict(*dict, level);
    } else {
      fail(ErrorKind::kType, "Object of type " + std::string(value.type_name()) + " is not JSON serializable");
    }
    if (out.size() > budget_.output_bytes()) fail(ErrorKind::kLimit, "a string is over the output limit");
  }

  Text out;

 private:
  void new_line(int level) {
    if (style_.indent < 0) return;
    out.append("\n" + std::string(static_cast<size_t>(style_.indent) * static_cast<size_t>(level), ' '));
  }

  void write_list(const List& list, int level) {
    if (list.items.empty()) return out.append("[]");
    out.append("[");
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out.append(style_.item_separator);
      new_line(level + 1);
      write(list.items[i], level + 1);
    }
    new_line(level);
    out.append("]");
  }

  void write_dict(const Dict& dict, int level) {
    std::vector<const Dict::Item*> items;
    for (const Dict::Item& item : dict.items()) items.push_back(&item);
    if (items.empty()) return out.append("{}");
    if (style_.sort_keys) {
      std::stable_sort(items.begin(), items.end(),
                       [](const auto* a, const auto* b) { return compare(a->first, b->first) < 0; });
    }
    out.append("{");
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out.append(style_.item_separator);
      new_line(level + 1);
      write_key(items[i]->first);
      out.append(style_.key_separator);
      write(items[i]->second, level + 1);
    }
    new_line(level);
    out.append("}");
  }

  void write_key(const Value& key) {
    if (const Text* text = key.as_text()) return write_string(*text);
    if (!key.is_none() && !key.is_number()) {
      fail(ErrorKind::kType, "keys must be str, int, float, bool or None, not " + std::string(key.type_name()));
    }
    out.append("\"");
    write(key, 0);
    out.append("\"");
  }

  void write_string(const Text& text) {
    std::string s = "\"";
    const std::string_view view = text.view();
    for (size_t pos = 0; pos < view.size();) {
      const Utf8Char c = decode_utf8(view, pos);
      switch (c.code_point) {
        case '"':
          s += "\\\"";
          break;
        case '\\':
          s += "\\\\";
          break;
        case '\n':
          s += "\\n";
          break;
        case '\r':
          s += "\\r";
          break;
        case '\t':
          s += "\\t";
          break;
        case '\b':
          s += "\\b";
          break;
        case '\f':
          s += "\\f";
          break;
        default:
          if (c.code_point < 0x20) {
            s += fmt::format("\\u{:04x}", c.code_point);
          } else if (c.code_point == kInvalid) {
            s += kReplacement;
          } else if (style_.ensure_ascii && c.code_point > 0xFFFF) {
            const uint32_t v = c.code_point - 0x10000;
            s += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (v >> 10), 0xDC00 + (v & 0x3FF));
          } else if (style_.ensure_ascii && c.code_point > 0x7E) {
            s += fmt::format("\\u{:04x}", c.code_point);
          } else {
            s += view.substr(pos, c.length);
          }
      }
      pos += c.length;
    }
    s += '"';
    out.append(Text::made(std::move(s), text.has_user_bytes()));
  }

  Budget& budget_;
  const JsonStyle& style_;
};

}  // namespace

std::string to_decimal(Int number) {
  if (number == 0) return "0";
  const bool negative = number < 0;
  std::string out;
  for (; number != 0; number /= 10) {
    const int digit = static_cast<int>(number % 10);
    out.push_back(static_cast<char>('0' + (digit < 0 ? -digit : digit)));
  }
  if (negative) out.push_back('-');
  std::reverse(out.begin(), out.end());
  return out;
}

std::string repr(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, number, std::chars_format::scientific).ptr;
  const std::string_view shortest(buffer, static_cast<size_t>(end - buffer));
  const size_t e = shortest.find('e');
  int exponent = 0;
  const char* first = shortest.data() + e + 1;
  std::from_chars(*first == '+' ? first + 1 : first, end, exponent);
  if (exponent < -4 || exponent >= 16) {
    return fmt::format("{}e{}{:02}", shortest.substr(0, e), exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  char plain[400];
  const auto plain_end = std::to_chars(plain, plain + sizeof plain, number, std::chars_format::fixed).ptr;
  std::string out(plain, plain_end);
  if (out.find('.') == std::string::npos) out += ".0";
  return out;
}

Text to_text(Budget& budget, const Value& value) {
  if (const Text* t = value.as_text()) return *t;
  if (value.is_undefined()) return Text();
  if (value.is_none()) return Text("None");
  if (const bool* b = value.as_bool()) return Text(*b ? "True" : "False");
  if (const Int* i = value.as_int()) return Text(to_decimal(*i));
  if (const double* d = value.as_double()) return Text(repr(*d));
  if (Object* object = value.as_object()) return Text("<" + std::string(object->type_name()) + ">");
  return repr(budget, value);
}

Text repr(Budget& budget, const Value& value) {
  if (value.is_undefined()) return Text("Undefined");
  ReprWriter writer(budget);
  writer.write(value);
  budget.text(writer.out.size());
  return std::move(writer.out);
}

Text to_json(Budget& budget, const Value& value, const JsonStyle& style) {
  JsonWriter writer(budget, style);
  writer.write(value, 0);
  budget.text(writer.out.size());
  return std::move(writer.out);
}

}  // namespace mhub::text::jinja
