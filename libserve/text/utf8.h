// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mhub::text {

inline constexpr uint32_t kInvalid = 0xFFFFFFFF;
inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Utf8Char {
  uint32_t code_point;  // kInvalid: an ill-formed part
  uint8_t length;       // bytes; the maximal ill-formed subpart when invalid, never 0
  bool truncated;       // invalid only because the text ends inside a character
};

// Precondition: pos < text.size().
Utf8Char decode_utf8_slow(std::string_view text, size_t pos);
inline Utf8Char decode_utf8(std::string_view text, size_t pos) {
  const auto byte = static_cast<unsigned char>(text[pos]);
  if (byte < 0x80) return {byte, 1, false};
  return decode_utf8_slow(text, pos);
}
// Start of the character that ends at `pos` (> 0); for ill-formed text the byte before.
size_t previous_char(std::string_view text, size_t pos);

void append_utf8(std::string& out, uint32_t code_point);
std::string to_utf8(uint32_t code_point);
bool is_valid_utf8(std::string_view text);
size_t count_code_points(std::string_view text);
// Appends `bytes` with U+FFFD per maximal ill-formed subpart. Returns how many bytes at the end belong to a character
// that is not complete; these are not appended (0 with `final`, which replaces them too).
size_t append_lossy(std::string& out, std::string_view bytes, bool final);

}  // namespace mhub::text
