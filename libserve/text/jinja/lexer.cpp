// SPDX-License-Identifier: Apache-2.0
#include "lexer.h"

#include <algorithm>

#include "../unicode.h"
#include "../utf8.h"
#include "limits.h"

namespace mhub::text::jinja {
namespace {

std::string normalize_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  return out;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_start(uint32_t c) {
  return c == '_' || (class_of(c) & (kLetter | mask_of(Category::kNl))) != 0;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalize_newlines(source)) {
    if (source_.ends_with('\n')) source_.pop_back();
  }

  std::vector<Token> run() {
    while (pos_ < source_.size()) lex_data();
    emit(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void error(std::string message) const {
    throw TemplateError{ErrorKind::kSyntax, std::move(message), line_};
  }
  char peek(size_t ahead = 0) const { return pos_ + ahead < source_.size() ? source_[pos_ + ahead] : '\0'; }
  bool at(std::string_view text) const { return std::string_view(source_).substr(pos_).starts_with(text); }
  void emit(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }
  void advance(size_t n) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(pos_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(pos_ + n), '\n'));
    pos_ += n;
  }
  void skip_spaces() {
    while (pos_ < source_.size()) {
      const Utf8Char c = decode_utf8(source_, pos_);
      if (!is_python_space(c.code_point)) return;
      advance(c.length);
    }
  }

  // Text up to the next tag, then the tag.
  void lex_data() {
    size_t tag = pos_;
    while ((tag = source_.find('{', tag)) != std::string::npos) {
      const char next = tag + 1 < source_.size() ? source_[tag + 1] : '\0';
      if (next == '%' || next == '{' || next == '#') break;
      ++tag;
    }
    const std::string data = source_.substr(pos_, tag == std::string::npos ? tag : tag - pos_);
    if (tag == std::string::npos) {
      emit_data(data);
      advance(data.size());
      return;
    }
    const char kind = source_[tag + 1];
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    emit_data(strip_before_tag(data, sign, kind != '{'));
    advance(data.size());
    advance(sign == '-' || sign == '+' ? 3 : 2);
    if (kind == '#') {
      lex_comment();
    } else if (kind == '%' && lex_raw()) {
      return;
    } else {
      emit(kind == '%' ? TokenKind::kBlockBegin : TokenKind::kVariableBegin, "");
      lex_code(kind == '%');
    }
  }

  void emit_data(std::string data) {
    if (!data.empty()) emit(TokenKind::kData, std::move(data));
  }

  // What '-' and lstrip_blocks leave of the text before a tag.
  std::string strip_before_tag(const std::string& data, char sign, bool may_lstrip) const {
    if (sign == '-') {
      size_t end = data.size();
      while (end > 0) {
        const size_t last = previous_char(data, end);
        if (!is_python_space(decode_utf8(data, last).code_point)) break;
        end = last;
      }
      return data.substr(0, end);
    }
    if (sign == '+' || !may_lstrip) return data;
    const size_t line_start = data.rfind('\n') + 1;  // npos + 1 = 0
    if (line_start == 0 && !at_line_start_) return data;
    for (size_t p = line_start; p < data.size(); p += decode_utf8(data, p).length) {
      if (!is_python_space(decode_utf8(data, p).code_point)) return data;
    }
    return data.substr(0, line_start);
  }

  // Behind a closing tag: '-' takes all white space, trim_blocks one newline.
  void finish_tag(char sign, bool trim) {
    const size_t begin = pos_;
    if (sign == '-') {
      skip_spaces();
    } else if (trim && sign != '+' && peek() == '\n') {
      advance(1);
    }
    at_line_start_ = pos_ > begin && source_[pos_ - 1] == '\n';
  }

  void lex_comment() {
    const size_t end = source_.find("#}", pos_);
    if (end == std::string::npos) error("Missing end of comment tag");
    const char sign = end > pos_ ? source_[end - 1] : '\0';
    advance(end + 2 - pos_);
    finish_tag(sign, true);
  }

  // {% raw %}...{% endraw %}; false (and nothing read) when the block is another one.
  bool lex_raw() {
    const size_t saved = pos_;
    const int saved_line = line_;
    skip_spaces();
    if (at("raw")) {
      advance(3);
      skip_spaces();
      const char sign = peek() == '-' ? '-' : '\0';
      if (at("%}") || at("-%}")) {
        advance(sign == '-' ? 3 : 2);
        finish_tag(sign, false);
        lex_raw_body();
        return true;
      }
    }
    pos_ = saved;
    line_ = saved_line;
    return false;
  }

  void lex_raw_body() {
    for (size_t tag = pos_; (tag = source_.find("{%", tag)) != std::string::npos; ++tag) {
      size_t p = tag + 2;
      const char sign = p < source_.size() ? source_[p] : '\0';
      if (sign == '-' || sign == '+') ++p;
      while (p < source_.size() && is_python_space(decode_utf8(source_, p).code_point))
        p += decode_utf8(source_, p).length;
      if (source_.compare(p, 6, "endraw") != 0) continue;
      p += 6;
      while (p < source_.size() && is_python_space(decode_utf8(source_, p).code_point))
        p += decode_utf8(source_, p).length;
      const char end_sign = p < source_.size() && (source_[p] == '-' || source_[p] == '+') ? source_[p] : '\0';
      if (end_sign != '\0') ++p;
      if (source_.compare(p, 2, "%}") != 0) continue;
      emit_data(strip_before_tag(source_.substr(pos_, tag - pos_), sign, true));
      advance(p + 2 - pos_);
      finish_tag(end_sign, true);
      return;
    }
    error("Missing end of raw directive");
  }

  void lex_code(bool block) {
    std::string brackets;
    while (true) {
      skip_spaces();
      if (pos_ >= source_.size()) error("Unexpected end of template inside a tag");
      if (brackets.empty() && lex_code_end(block)) return;
      const char c = peek();
      if (c == '\'' || c == '"') {
        lex_string(c);
      } else if (is_digit(c)) {
        lex_number();
      } else if (is_name_start(decode_utf8(source_, pos_).code_point)) {
        lex_name();
      } else {
        lex_operator(brackets);
      }
    }
  }

  bool lex_code_end(bool block) {
    const std::string_view end = block ? "%}" : "}}";
    const char c = peek();
    const bool signed_end =
        (c == '-' || (c == '+' && block)) && std::string_view(source_).substr(pos_ + 1).starts_with(end);
    if (!signed_end && !at(end)) return false;
    emit(block ? TokenKind::kBlockEnd : TokenKind::kVariableEnd, "");
    advance(signed_end ? 3 : 2);
    finish_tag(signed_end ? c : '\0', block);
    return true;
  }

  void lex_name() {
    const size_t begin = pos_;
    size_t end = pos_;
    while (end < source_.size() && is_word(decode_utf8(source_, end).code_point))
      end += decode_utf8(source_, end).length;
    emit(TokenKind::kName, source_.substr(begin, end - begin));
    advance(end - begin);
  }

  // Digits with single underscores between them, from `p`; their end.
  size_t digits_end(size_t p, int base = 10) const {
    const auto is_base_digit = [&](char c) {
      const char lower = static_cast<char>(c | 32);
      return base == 16 ? is_digit(c) || (lower >= 'a' && lower <= 'f') : c >= '0' && c < '0' + base;
    };
    while (p < source_.size() && (is_base_digit(source_[p]) ||
                                  (source_[p] == '_' && p + 1 < source_.size() && is_base_digit(source_[p + 1])))) {
      ++p;
    }
    return p;
  }

  void lex_number() {
    const char prefix = peek() == '0' ? static_cast<char>(peek(1) | 32) : '\0';
    const int base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
    size_t end = digits_end(base == 10 ? pos_ : pos_ + 2, base);
    TokenKind kind = TokenKind::kInteger;
    if (base == 10) {
      const bool after_dot = pos_ > 0 && source_[pos_ - 1] == '.';
      const auto digit_at = [&](size_t p) { return p < source_.size() && is_digit(source_[p]); };
      if (!after_dot && end < source_.size() && source_[end] == '.' && digit_at(end + 1)) {
        end = digits_end(end + 1);
        kind = TokenKind::kFloat;
      }
      if (!after_dot && end < source_.size() && (source_[end] | 32) == 'e') {
        const size_t exponent =
            end + 1 + (end + 1 < source_.size() && (source_[end + 1] == '+' || source_[end + 1] == '-'));
        if (digit_at(exponent)) {
          end = digits_end(exponent);
          kind = TokenKind::kFloat;
        }
      }
    }
    std::string text = source_.substr(pos_, end - pos_);
    text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
    emit(kind, std::move(text));
    advance(end - pos_);
  }

  void lex_operator(std::string& brackets) {
    static constexpr std::string_view kTwo[] = {"==", "!=", ">=", "<=", "//", "**"};
    for (const std::string_view op : kTwo) {
      if (at(op)) {
        emit(TokenKind::kOperator, std::string(op));
        return advance(2);
      }
    }
    const char c = peek();
    if (std::string_view("+-/*%~[](){}><=.:|,;").find(c) == std::string_view::npos) {
      error("unexpected character '" + source_.substr(pos_, decode_utf8(source_, pos_).length) + "'");
    }
    if (c == '(' || c == '[' || c == '{') brackets += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c == ')' || c == ']' || c == '}') {
      if (brackets.empty() || brackets.back() != c) error(std::string("unexpected '") + c + "'");
      brackets.pop_back();
    }
    emit(TokenKind::kOperator, std::string(1, c));
    advance(1);
  }

  void lex_string(char quote) {
    size_t end = pos_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) error("a string is not closed");
    emit(TokenKind::kString, unescape(std::string_view(source_).substr(pos_ + 1, end - pos_ - 1)));
    advance(end + 1 - pos_);
  }

  // Python's escapes; unknown ones keep the backslash.
  std::string unescape(std::string_view raw) const {
    std::string out;
    for (size_t i = 0; i < raw.size(); ++i) {
      if (raw[i] != '\\' || i + 1 >= raw.size()) {
        out += raw[i];
        continue;
      }
      const char c = raw[++i];
      static constexpr std::string_view kFrom = "\\'\"abfnrtv", kTo = "\\'\"\a\b\f\n\r\t\v";
      if (c == '\n') continue;
      if (const size_t known = kFrom.find(c); known != std::string_view::npos) {
        out += kTo[known];
      } else if (c == 'x' || c == 'u' || c == 'U') {
        const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        append_code_point(out, hex(raw.substr(std::min(i + 1, raw.size()), digits), digits));
        i += digits;
      } else if (c >= '0' && c <= '7') {
        uint32_t value = 0;
        size_t n = 0;
        for (; n < 3 && i + n < raw.size() && raw[i + n] >= '0' && raw[i + n] <= '7'; ++n) {
          value = value * 8 + static_cast<uint32_t>(raw[i + n] - '0');
        }
        append_code_point(out, value);
        i += n - 1;
      } else {
        out += '\\';
        out += c;
      }
    }
    return out;
  }

  uint32_t hex(std::string_view digits, size_t wanted) const {
    uint32_t value = 0;
    for (const char c : digits) {
      const char lower = static_cast<char>(c | 32);
      if (!is_digit(c) && !(lower >= 'a' && lower <= 'f')) error("a string has a broken escape");
      value = value << 4 | static_cast<uint32_t>(is_digit(c) ? c - '0' : lower - 'a' + 10);
    }
    if (digits.size() != wanted || value > 0x10FFFF) error("a string has a broken escape");
    return value;
  }

  static void append_code_point(std::string& out, uint32_t c) {
    if (c >= 0xD800 && c <= 0xDFFF) {
      out += kReplacement;  // a lone surrogate is no text
    } else {
      append_utf8(out, c);
    }
  }

  std::string source_;
  size_t pos_ = 0;
  int line_ = 1;
  bool at_line_start_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  return Lexer(source).run();
}

}  // namespace mhub::text::jinja
