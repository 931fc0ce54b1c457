// SPDX-License-Identifier: Apache-2.0
#include "header_json.h"

#include <fmt/format.h>

#include "mhub/base/error.h"

namespace mhub::formats {

namespace {

void append_utf8(std::string& out, uint32_t c) {
  const auto push = [&out](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    push(c);
  } else if (c < 0x800) {
    push(0xC0 | c >> 6), push(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    push(0xE0 | c >> 12), push(0x80 | (c >> 6 & 0x3F)), push(0x80 | (c & 0x3F));
  } else {
    push(0xF0 | c >> 18), push(0x80 | (c >> 12 & 0x3F)), push(0x80 | (c >> 6 & 0x3F)), push(0x80 | (c & 0x3F));
  }
}

}  // namespace

bool HeaderJson::fail(std::string problem) {
  if (problem_.empty()) problem_ = std::move(problem);
  return false;
}

void HeaderJson::skip_white_space() {
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
    ++position_;
  }
}

bool HeaderJson::accept(char c) {
  skip_white_space();
  if (position_ >= text_.size() || text_[position_] != c) return false;
  ++position_;
  return true;
}

bool HeaderJson::expect(char c) {
  if (!problem_.empty()) return false;
  if (accept(c)) return true;
  if (position_ >= text_.size()) return fail(fmt::format("expected '{}', but the header ends", c));
  return fail(fmt::format("expected '{}', saw '{}'", c, printable(text_.substr(position_, 1))));
}

bool HeaderJson::hex4(uint32_t& out) {
  out = 0;
  for (int i = 0; i < 4; ++i, ++position_) {
    const char c = position_ < text_.size() ? text_[position_] : '\0';
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return fail("malformed \\u escape");
    out = out << 4 | static_cast<uint32_t>(digit);
  }
  return true;
}

bool HeaderJson::escape(std::string& out) {
  constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
  const char c = position_ < text_.size() ? text_[position_] : '\0';
  ++position_;
  if (const size_t i = kFrom.find(c); i != std::string_view::npos && c != '\0') {
    out.push_back(kTo[i]);
    return true;
  }
  if (c != 'u') return fail("unknown escape in a string");
  uint32_t code = 0;
  if (!hex4(code)) return false;
  if (code >= 0xDC00 && code < 0xE000) return fail("lone low surrogate in a string");
  if (code >= 0xD800 && code < 0xDC00) {
    uint32_t low = 0;
    if (text_.substr(position_, 2) != "\\u") return fail("lone high surrogate in a string");
    position_ += 2;
    if (!hex4(low)) return false;
    if (low < 0xDC00 || low >= 0xE000) return fail("high surrogate without a low one in a string");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  append_utf8(out, code);
  return true;
}

bool HeaderJson::string(std::string& out, size_t max_bytes) {
  out.clear();
  if (!expect('"')) return false;
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c == '"') {
      ++position_;
      return true;
    }
    if (static_cast<unsigned char>(c) < 0x20) return fail("control character in a string");
    ++position_;
    if (c == '\\') {
      if (!escape(out)) return false;
    } else {
      out.push_back(c);
    }
    if (out.size() > max_bytes) return fail(fmt::format("string longer than {} bytes", max_bytes));
  }
  return fail("unterminated string");
}

bool HeaderJson::integer(uint64_t& out) {
  if (!problem_.empty()) return false;
  skip_white_space();
  const size_t begin = position_;
  out = 0;
  while (position_ < text_.size() && text_[position_] >= '0' && text_[position_] <= '9') {
    const auto digit = static_cast<uint64_t>(text_[position_] - '0');
    if (out > (static_cast<uint64_t>(INT64_MAX) - digit) / 10) return fail("integer of 2^63 or more");
    out = out * 10 + digit;
    ++position_;
  }
  const char next = position_ < text_.size() ? text_[position_] : '\0';
  if (position_ == begin || next == '.' || next == 'e' || next == 'E') {
    return fail(fmt::format("expected an integer from 0 to 2^63-1, saw '{}'", printable(text_.substr(begin, 24))));
  }
  if (text_[begin] == '0' && position_ - begin > 1) return fail("integer with a leading zero");
  return true;
}

bool HeaderJson::only_spaces_left() {
  while (position_ < text_.size() && text_[position_] == ' ') ++position_;
  return position_ == text_.size() || fail("text after the closing brace (only spaces may follow)");
}

std::optional<size_t> first_invalid_utf8(std::string_view text) {
  const auto at = [&text](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  for (size_t i = 0; i < text.size();) {
    const unsigned c = at(i);
    size_t length = 1;
    unsigned low = 0x80, high = 0xBF;  // range of the second byte
    if (c < 0x80) {
      ++i;
      continue;
    } else if (c >= 0xC2 && c <= 0xDF) {
      length = 2;
    } else if (c >= 0xE0 && c <= 0xEF) {
      length = 3;
      if (c == 0xE0) low = 0xA0;
      if (c == 0xED) high = 0x9F;
    } else if (c >= 0xF0 && c <= 0xF4) {
      length = 4;
      if (c == 0xF0) low = 0x90;
      if (c == 0xF4) high = 0x8F;
    } else {
      return i;
    }
    if (at(i + 1) < low || at(i + 1) > high) return i;
    for (size_t k = 2; k < length; ++k) {
      if (at(i + k) < 0x80 || at(i + k) > 0xBF) return i;
    }
    i += length;
  }
  return std::nullopt;
}

}  // namespace mhub::formats
