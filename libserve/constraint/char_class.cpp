// SPDX-License-Identifier: Apache-2.0
#include "char_class.h"

#include <fmt/format.h>

#include "grammar.h"

namespace mhub::constraint {
namespace {

bool is_letter_or_digit(char32_t c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::optional<uint32_t> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<uint32_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<uint32_t>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<uint32_t>(c - 'A' + 10);
  return std::nullopt;
}

Result<char32_t> take_hex(std::string_view& text, size_t digits) {
  char32_t value = 0;
  for (size_t i = 0; i < digits; ++i) {
    const auto digit = i < text.size() ? hex_digit(text[i]) : std::nullopt;
    if (!digit) return refused(fmt::format("an escape needs {} hexadecimal digits", digits));
    value = value << 4 | *digit;
  }
  if (value > kLastCodePoint || (value >= 0xD800 && value <= 0xDFFF)) {
    return refused(fmt::format("\\u{:x} is no character", static_cast<uint32_t>(value)));
  }
  text.remove_prefix(digits);
  return value;
}

Result<char32_t> take_braced_hex(std::string_view& text) {
  const size_t close = text.find('}');
  if (close == std::string_view::npos || close < 2 || close > 7) return refused("\\u{ needs 1 to 6 digits and }");
  text.remove_prefix(1);
  MHUB_TRY(const char32_t value, take_hex(text, close - 1));
  text.remove_prefix(1);
  return value;
}

}  // namespace

std::optional<CodePointSet> class_of_letter(char32_t letter) {
  static constexpr char32_t kUpperToLower = 'a' - 'A';
  switch (letter) {
    case 'd':
      return CodePointSet{{'0', '9'}};
    case 'w':
      return CodePointSet{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    case 's':
      return CodePointSet{{'\t', '\r'}, {' ', ' '}};
    case 'D':
    case 'W':
    case 'S':
      return class_of_letter(letter + kUpperToLower)->complement();
    default:
      return std::nullopt;
  }
}

CodePointSet any_but_newline() {
  return CodePointSet{{'\n', '\n'}}.complement();
}

Result<char32_t> take_escaped(std::string_view& text) {
  if (text.empty()) return refused("a backslash stands at the end");
  const char32_t letter = take_code_point(text);
  switch (letter) {
    case kInvalid:
      return refused("the text is not UTF-8");
    case 'n':
      return U'\n';
    case 't':
      return U'\t';
    case 'r':
      return U'\r';
    case 'f':
      return U'\f';
    case 'v':
      return U'\v';
    case '0':
      return U'\0';
    case 'x':
      return take_hex(text, 2);
    case 'u':
      return text.starts_with('{') ? take_braced_hex(text) : take_hex(text, 4);
    case 'U':
      return take_hex(text, 8);
    default:
      if (!is_letter_or_digit(letter)) return letter;
      return refused(fmt::format("the escape \\{} is not supported", static_cast<char>(letter)));
  }
}

Result<CodePointSet> take_class(std::string_view& text) {
  CodePointSet set;
  const bool negated = text.starts_with('^');
  if (negated) text.remove_prefix(1);
  for (bool first = true;; first = false) {
    if (text.empty()) return refused("a character class is not closed");
    if (text.front() == ']' && !first) break;
    if (text.starts_with("[:") || text.starts_with("&&") || text.starts_with("--")) {
      return refused("named classes and set operations inside [ ] are not supported");
    }
    const auto take_one = [&]() -> Result<char32_t> {
      if (text.front() == '\\') {
        text.remove_prefix(1);
        if (text.starts_with('b')) {
          text.remove_prefix(1);
          return U'\b';
        }
        return take_escaped(text);
      }
      const char32_t c = take_code_point(text);
      if (c == kInvalid) return refused("the text is not UTF-8");
      return c;
    };
    if (text.front() == '\\' && text.size() > 1) {
      if (const auto named = class_of_letter(static_cast<unsigned char>(text[1]))) {
        set.add(*named);
        text.remove_prefix(2);
        continue;
      }
    }
    MHUB_TRY(const char32_t low, take_one());
    if (text.size() < 2 || text.front() != '-' || text[1] == ']') {
      set.add(low, low);
      continue;
    }
    text.remove_prefix(1);
    MHUB_TRY(const char32_t high, take_one());
    if (high < low) return refused("a range of a character class runs backwards");
    set.add(low, high);
  }
  text.remove_prefix(1);
  return negated ? set.complement() : set;
}

std::optional<uint32_t> take_number(std::string_view& text) {
  uint32_t value = 0;
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    if (digits == 6) return std::nullopt;
    value = value * 10 + static_cast<uint32_t>(text[digits++] - '0');
  }
  if (digits == 0) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

}  // namespace mhub::constraint
