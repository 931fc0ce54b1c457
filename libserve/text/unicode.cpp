// SPDX-License-Identifier: Apache-2.0
#include "unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>

#include "utf8.h"

namespace mhub::text {
namespace {

struct SpecialCase {
  uint32_t code_point;
  char kind;  // 'u' upper, 'l' lower, 't' title
  std::string_view text;
};

#include "unicode_tables.inc"

enum class Case : char { kUpper = 'u', kLower = 'l', kTitle = 't' };

void append_mapped(std::string& out, uint32_t code_point, Case kind) {
  const auto special = std::lower_bound(std::begin(kSpecialCases), std::end(kSpecialCases), code_point,
                                        [](const SpecialCase& s, uint32_t c) { return s.code_point < c; });
  for (auto s = special; s != std::end(kSpecialCases) && s->code_point == code_point; ++s) {
    if (s->kind == static_cast<char>(kind)) {
      out.append(s->text);
      return;
    }
  }
  const auto c = static_cast<utf8proc_int32_t>(code_point);
  switch (kind) {
    case Case::kUpper:
      return append_utf8(out, static_cast<uint32_t>(utf8proc_toupper(c)));
    case Case::kLower:
      return append_utf8(out, static_cast<uint32_t>(utf8proc_tolower(c)));
    case Case::kTitle:
      return append_utf8(out, static_cast<uint32_t>(utf8proc_totitle(c)));
  }
}

bool is_cased(uint32_t c) {
  return (class_of(c) & (mask_of(Category::kLu) | mask_of(Category::kLl) | mask_of(Category::kLt))) != 0;
}
bool is_case_ignorable(uint32_t c) {
  constexpr ClassMask kIgnorable = mask_of(Category::kMn) | mask_of(Category::kMe) | mask_of(Category::kCf) |
                                   mask_of(Category::kLm) | mask_of(Category::kSk);
  return c == '\'' || c == 0x2019 || c == 0xB7 || c == 0xAD || (class_of(c) & kIgnorable) != 0;
}

// Σ at `pos` is final: a cased letter before it and none after it, case-ignorable characters skipped.
bool is_final_sigma(std::string_view text, size_t pos, size_t length) {
  size_t before = pos;
  uint32_t c = 0;
  while (before > 0) {
    before = previous_char(text, before);
    c = decode_utf8(text, before).code_point;
    if (!is_case_ignorable(c)) break;
  }
  if (pos == 0 || !is_cased(c)) return false;
  for (size_t after = pos + length; after < text.size();) {
    const Utf8Char next = decode_utf8(text, after);
    if (!is_case_ignorable(next.code_point)) return !is_cased(next.code_point);
    after += next.length;
  }
  return true;
}

// Appends text[pos] in the wanted case and returns the position behind it.
size_t append_case(std::string& out, std::string_view text, size_t pos, Case kind) {
  const Utf8Char c = decode_utf8(text, pos);
  if (c.code_point == kInvalid) {
    out.append(text.substr(pos, c.length));
  } else if (c.code_point == 0x3A3 && kind == Case::kLower) {
    out.append(is_final_sigma(text, pos, c.length) ? "\u03C2" : "\u03C3");
  } else {
    append_mapped(out, c.code_point, kind);
  }
  return pos + c.length;
}

}  // namespace

ClassMask class_of(uint32_t code_point) {
  if (code_point > 0x10FFFF) return mask_of(Category::kCn);
  const uint8_t code = kBlocks[kBlockIndex[code_point / 128]][code_point % 128];
  return 1u << (code & 31) | (code & 0x20 ? kSpace : 0);
}

bool is_word(uint32_t c) {
  constexpr ClassMask kWord =
      kLetter | kMark | mask_of(Category::kNd) | mask_of(Category::kNl) | mask_of(Category::kPc);
  return (class_of(c) & kWord) != 0 || c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) ||
         (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

bool is_python_space(uint32_t c) {
  return (c >= 0x1C && c <= 0x1F) || (class_of(c) & kSpace) != 0;
}

std::string to_upper(std::string_view text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) pos = append_case(out, text, pos, Case::kUpper);
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) pos = append_case(out, text, pos, Case::kLower);
  return out;
}

std::string to_title(std::string_view text) {
  std::string out;
  bool in_word = false;
  for (size_t pos = 0; pos < text.size();) {
    const bool cased = is_cased(decode_utf8(text, pos).code_point);
    pos = append_case(out, text, pos, in_word ? Case::kLower : Case::kTitle);
    in_word = cased;
  }
  return out;
}

std::string to_capitalized(std::string_view text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) pos = append_case(out, text, pos, pos == 0 ? Case::kTitle : Case::kLower);
  return out;
}

}  // namespace mhub::text
