// SPDX-License-Identifier: Apache-2.0
#include <utf8proc.h>

#include <cstdlib>
#include <memory>
#include <new>

#include "marked_writer.h"
#include "normalizer_steps.h"
#include "utf8.h"

namespace mhub::text {
namespace {

// Characters that every normalization form but the compatibility ones keeps, whatever stands beside them.
bool is_inert_composed(uint32_t c) {
  return c < 0x300 || (c >= 0x388 && c <= 0x482) || (c >= 0x48A && c < 0x591) || (c >= 0x2010 && c <= 0x205F) ||
         (c >= 0x3001 && c <= 0x3029) || (c >= 0x3041 && c <= 0x3098) || (c >= 0x309B && c <= 0x30FF) ||
         (c >= 0x3400 && c <= 0x9FFF) || (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0xFF01 && c <= 0xFFEE) ||
         (c >= 0x1F300 && c <= 0x1FAFF);
}
bool is_inert(uint32_t c, UnicodeForm form) {
  if (form.compatibility || !form.compose) return c < 0x80;
  return is_inert_composed(c);
}

void normalize_block(const MarkedText& source, size_t begin, size_t end, UnicodeForm form, Writer& out) {
  const auto options =
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | (form.compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
                                     (form.compatibility ? UTF8PROC_COMPAT : 0));
  utf8proc_uint8_t* mapped = nullptr;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(source.text.data()) + begin;
  const utf8proc_ssize_t length = utf8proc_map(bytes, static_cast<utf8proc_ssize_t>(end - begin), &mapped, options);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  if (length == UTF8PROC_ERROR_NOMEM) throw std::bad_alloc();
  if (length < 0) return out.copy(begin, end);
  const std::string_view result(reinterpret_cast<const char*>(mapped), static_cast<size_t>(length));
  if (result == std::string_view(source.text).substr(begin, end - begin)) return out.copy(begin, end);
  out.put(result, begin, end);
}

}  // namespace

// Works block by block: a block is cut where an ASCII character follows, so that no composition crosses a cut, and at
// ill-formed bytes, which stay as they are.
MarkedText apply_step(const MarkedText& source, const UnicodeForm& form) {
  Writer out(source);
  const std::string_view text = source.text;
  size_t block = 0;     // start of what is not written yet
  bool needed = false;  // the block holds a character that is not inert
  const auto flush = [&](size_t end) {
    if (needed) {
      normalize_block(source, block, end, form, out);
    } else {
      out.copy(block, end);
    }
    block = end;
    needed = false;
  };
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = decode_utf8(text, pos);
    if (c.code_point == kInvalid) {
      flush(pos);
      out.copy(pos, pos + c.length);
      block = pos + c.length;
    } else if (c.code_point < 0x80) {
      flush(pos);
    } else if (!is_inert(c.code_point, form)) {
      needed = true;
    }
    pos += c.length;
  }
  flush(text.size());
  return out.take();
}

bool keeps(const UnicodeForm& form, std::string_view text) {
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = decode_utf8(text, pos);
    if (c.code_point != kInvalid && !is_inert(c.code_point, form)) return false;
    pos += c.length;
  }
  return true;
}

}  // namespace mhub::text
