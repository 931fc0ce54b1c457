// SPDX-License-Identifier: Apache-2.0
#include "byte_alphabet.h"

#include <array>

#include "utf8.h"

namespace mhub::text {
namespace {

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

struct Alphabet {
  std::array<uint16_t, 256> code_point{};
  std::array<int16_t, 0x144> byte{};
};

constexpr Alphabet make_alphabet() {
  Alphabet a;
  for (auto& b : a.byte) b = -1;
  uint16_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const uint16_t c = stands_for_itself(byte) ? static_cast<uint16_t>(byte) : next++;
    a.code_point[byte] = c;
    a.byte[c] = static_cast<int16_t>(byte);
  }
  return a;
}
constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

void append_byte_symbol(std::string& out, unsigned char byte) {
  append_utf8(out, kAlphabet.code_point[byte]);
}

std::string to_byte_alphabet(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) append_byte_symbol(out, static_cast<unsigned char>(c));
  return out;
}

std::optional<std::string> from_byte_alphabet(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = decode_utf8(text, pos);
    if (c.code_point >= kAlphabet.byte.size() || kAlphabet.byte[c.code_point] < 0) return std::nullopt;
    out.push_back(static_cast<char>(kAlphabet.byte[c.code_point]));
    pos += c.length;
  }
  return out;
}

}  // namespace mhub::text
