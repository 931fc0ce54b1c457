// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mhub::text {

// The printable alphabet of byte-level vocabularies: 33-126, 161-172 and 174-255 stand for themselves, the other 68
// bytes for U+0100 upward in order.
void append_byte_symbol(std::string& out, unsigned char byte);
std::string to_byte_alphabet(std::string_view bytes);
// The bytes that a token text stands for; nullopt when a character is not of the alphabet.
std::optional<std::string> from_byte_alphabet(std::string_view text);

}  // namespace mhub::text
