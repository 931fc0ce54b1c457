// SPDX-License-Identifier: Apache-2.0
#include "normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

#include "unicode.h"
#include "utf8.h"

namespace mhub::text {
namespace {

// Appends to a MarkedText; marks are kept only when the source has them.
class Writer {
 public:
  explicit Writer(const MarkedText& source) : source_(source) {
    out_.text.reserve(source.text.size() + 16);
    if (has_marks()) out_.marks.reserve(source.text.size() + 16);
  }
  bool has_marks() const { return !source_.marks.empty(); }
  void copy(size_t begin, size_t end) {
    out_.text.append(source_.text, begin, end - begin);
    if (has_marks()) {
      out_.marks.insert(out_.marks.end(), source_.marks.begin() + static_cast<std::ptrdiff_t>(begin),
                        source_.marks.begin() + static_cast<std::ptrdiff_t>(end));
    }
  }
  // `text` made from source bytes [begin, end).
  void put(std::string_view text, size_t begin, size_t end) {
    out_.text.append(text);
    if (!has_marks()) return;
    const auto first = source_.marks.begin();
    const bool marked = std::find(first + static_cast<std::ptrdiff_t>(begin), first + static_cast<std::ptrdiff_t>(end),
                                  true) != first + static_cast<std::ptrdiff_t>(end);
    out_.marks.insert(out_.marks.end(), text.size(), marked);
  }
  MarkedText take() { return std::move(out_); }

 private:
  const MarkedText& source_;
  MarkedText out_;
};

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

// Works block by block: a block is cut where an ASCII character follows, so that no composition crosses a cut, and at
// ill-formed bytes, which stay as they are.
MarkedText normalize(const MarkedText& source, UnicodeForm form) {
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

MarkedText replace(const MarkedText& source, const ReplaceText& step) {
  Writer out(source);
  size_t pos = 0;
  for (size_t hit; (hit = source.text.find(step.from, pos)) != std::string::npos; pos = hit + step.from.size()) {
    out.copy(pos, hit);
    out.put(step.to, hit, hit + step.from.size());
  }
  out.copy(pos, source.text.size());
  return out.take();
}

MarkedText strip(const MarkedText& source, const StripSpaces& step) {
  Writer out(source);
  const std::string_view text = source.text;
  const auto is_space = [&](size_t pos) { return (class_of(decode_utf8(text, pos).code_point) & kSpace) != 0; };
  size_t begin = 0, end = text.size();
  while (step.left && begin < end && is_space(begin)) begin += decode_utf8(text, begin).length;
  while (step.right && end > begin && is_space(previous_char(text, end))) end = previous_char(text, end);
  out.copy(begin, end);
  return out.take();
}

MarkedText lower(const MarkedText& source) {
  Writer out(source);
  const std::string_view text = source.text;
  for (size_t pos = 0; pos < text.size();) {
    const size_t length = decode_utf8(text, pos).length;
    out.put(to_lower(text.substr(pos, length)), pos, pos + length);
    pos += length;
  }
  return out.take();
}

struct Apply {
  MarkedText& text;
  void operator()(const UnicodeForm& form) const { text = normalize(text, form); }
  void operator()(const PrependText& step) const {
    if (text.text.empty()) return;
    text.text.insert(0, step.text);
    if (!text.marks.empty()) text.marks.insert(text.marks.begin(), step.text.size(), false);
  }
  void operator()(const ReplaceText& step) const { text = replace(text, step); }
  void operator()(const StripSpaces& step) const { text = strip(text, step); }
  void operator()(const Lowercase&) const { text = lower(text); }
};

bool keeps(const UnicodeForm& form, std::string_view text) {
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = decode_utf8(text, pos);
    if (c.code_point != kInvalid && !is_inert(c.code_point, form)) return false;
    pos += c.length;
  }
  return true;
}

}  // namespace

bool Normalizer::leaves(std::string_view text) const {
  return std::all_of(steps_.begin(), steps_.end(), [&](const NormalizerStep& step) {
    if (const auto* form = std::get_if<UnicodeForm>(&step)) return keeps(*form, text);
    if (const auto* replacement = std::get_if<ReplaceText>(&step)) {
      return text.find(replacement->from) == std::string_view::npos;
    }
    return false;
  });
}

void Normalizer::apply(MarkedText& text) const {
  for (const NormalizerStep& step : steps_) std::visit(Apply{text}, step);
}

}  // namespace mhub::text
