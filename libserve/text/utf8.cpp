// SPDX-License-Identifier: Apache-2.0
#include "utf8.h"

namespace mhub::text {

Utf8Char decode_utf8_slow(std::string_view text, size_t pos) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[pos + i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1, false};
  size_t length = 0;
  unsigned char low = 0x80, high = 0xBF;  // bounds of the second byte (Unicode table 3-7)
  uint32_t value = 0;
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2, value = first & 0x1F;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3, value = first & 0x0F;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4, value = first & 0x07;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
  } else {
    return {kInvalid, 1, false};
  }
  for (size_t i = 1; i < length; ++i) {
    if (pos + i >= text.size()) return {kInvalid, static_cast<uint8_t>(i), true};
    const unsigned char next = byte(i);
    if (next < low || next > high) return {kInvalid, static_cast<uint8_t>(i), false};
    low = 0x80, high = 0xBF;
    value = value << 6 | (next & 0x3F);
  }
  return {value, static_cast<uint8_t>(length), false};
}

size_t previous_char(std::string_view text, size_t pos) {
  for (size_t back = 1; back <= 4 && back <= pos; ++back) {
    const Utf8Char c = decode_utf8(text, pos - back);
    if (c.code_point != kInvalid && c.length == back) return pos - back;
  }
  return pos - 1;
}

void append_utf8(std::string& out, uint32_t c) {
  const auto put = [&](uint32_t v) { out.push_back(static_cast<char>(v)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  }
}

std::string to_utf8(uint32_t code_point) {
  std::string out;
  append_utf8(out, code_point);
  return out;
}

bool is_valid_utf8(std::string_view text) {
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = decode_utf8(text, pos);
    if (c.code_point == kInvalid) return false;
    pos += c.length;
  }
  return true;
}

size_t count_code_points(std::string_view text) {
  size_t n = 0;
  for (size_t pos = 0; pos < text.size(); ++n) pos += decode_utf8(text, pos).length;
  return n;
}

size_t append_lossy(std::string& out, std::string_view bytes, bool final) {
  size_t pos = 0, good = 0;  // bytes[good, pos) is well formed and not yet appended
  while (pos < bytes.size()) {
    const Utf8Char c = decode_utf8(bytes, pos);
    if (c.code_point == kInvalid) {
      out.append(bytes.substr(good, pos - good));
      if (c.truncated && !final) return bytes.size() - pos;
      out.append(kReplacement);
      good = pos + c.length;
    }
    pos += c.length;
  }
  out.append(bytes.substr(good));
  return 0;
}

}  // namespace mhub::text
