// SPDX-License-Identifier: Apache-2.0
#include "marked_writer.h"
#include "normalizer_steps.h"
#include "unicode.h"
#include "utf8.h"

namespace mhub::text {
namespace {

constexpr ClassMask kOther = mask_of(Category::kCc) | mask_of(Category::kCf) | mask_of(Category::kCo);

bool is_cjk_ideograph(uint32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

void put_cleaned(const MarkedText& source, uint32_t c, size_t begin, size_t end, const BertCleanup& step, Writer& out) {
  const bool is_line_space = c == '\t' || c == '\n' || c == '\r';
  if (step.clean_text) {
    if (c == 0 || c == 0xFFFD || (!is_line_space && (class_of(c) & kOther) != 0)) return;
    if ((class_of(c) & kSpace) != 0) return out.put(" ", begin, end);
  }
  if (step.handle_chinese_chars && is_cjk_ideograph(c)) {
    return out.put(" " + source.text.substr(begin, end - begin) + " ", begin, end);
  }
  out.copy(begin, end);
}

MarkedText without_accents(const MarkedText& source, bool lowercase) {
  Writer out(source);
  const std::string_view text = source.text;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = decode_utf8(text, pos);
    if (c.code_point == kInvalid || (class_of(c.code_point) & mask_of(Category::kMn)) == 0) {
      if (lowercase && c.code_point != kInvalid) {
        out.put(to_lower(text.substr(pos, c.length)), pos, pos + c.length);
      } else {
        out.copy(pos, pos + c.length);
      }
    }
    pos += c.length;
  }
  return out.take();
}

MarkedText lower_case(const MarkedText& source) {
  Writer out(source);
  const std::string_view text = source.text;
  for (size_t pos = 0; pos < text.size();) {
    const size_t length = decode_utf8(text, pos).length;
    out.put(to_lower(text.substr(pos, length)), pos, pos + length);
    pos += length;
  }
  return out.take();
}

}  // namespace

MarkedText apply_step(const MarkedText& source, const BertCleanup& step) {
  Writer cleaned(source);
  const std::string_view text = source.text;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = decode_utf8(text, pos);
    if (c.code_point == kInvalid) {
      cleaned.copy(pos, pos + c.length);
    } else {
      put_cleaned(source, c.code_point, pos, pos + c.length, step, cleaned);
    }
    pos += c.length;
  }
  MarkedText out = cleaned.take();
  if (step.strip_accents) return without_accents(apply_step(out, UnicodeForm{false, false}), step.lowercase);
  return step.lowercase ? lower_case(out) : out;
}

}  // namespace mhub::text
