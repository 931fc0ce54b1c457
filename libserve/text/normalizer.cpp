// SPDX-License-Identifier: Apache-2.0
#include "normalizer.h"

#include <algorithm>

#include "byte_alphabet.h"
#include "marked_writer.h"
#include "normalizer_steps.h"
#include "unicode.h"
#include "utf8.h"

namespace mhub::text {
namespace {

MarkedText apply_step(const MarkedText& source, const ReplaceText& step) {
  Writer out(source);
  size_t pos = 0;
  for (size_t hit; (hit = source.text.find(step.from, pos)) != std::string::npos; pos = hit + step.from.size()) {
    out.copy(pos, hit);
    out.put(step.to, hit, hit + step.from.size());
  }
  out.copy(pos, source.text.size());
  return out.take();
}

MarkedText apply_step(const MarkedText& source, const ReplacePattern& step) {
  Writer out(source);
  size_t done = 0;
  step.pattern->find_all(source.text, [&](size_t begin, size_t end) {
    out.copy(done, begin);
    out.put(step.to, begin, end);
    done = end;
  });
  out.copy(done, source.text.size());
  return out.take();
}

MarkedText apply_step(const MarkedText& source, const StripSpaces& step) {
  Writer out(source);
  const std::string_view text = source.text;
  const auto is_space = [&](size_t pos) { return (class_of(decode_utf8(text, pos).code_point) & kSpace) != 0; };
  size_t begin = 0, end = text.size();
  while (step.left && begin < end && is_space(begin)) begin += decode_utf8(text, begin).length;
  while (step.right && end > begin && is_space(previous_char(text, end))) end = previous_char(text, end);
  out.copy(begin, end);
  return out.take();
}

MarkedText apply_step(const MarkedText& source, const Lowercase&) {
  Writer out(source);
  const std::string_view text = source.text;
  for (size_t pos = 0; pos < text.size();) {
    const size_t length = decode_utf8(text, pos).length;
    out.put(to_lower(text.substr(pos, length)), pos, pos + length);
    pos += length;
  }
  return out.take();
}

// Calls on_char(code point, begin, end) for each character; kInvalid for an ill-formed part.
template <typename OnChar>
void each_char(std::string_view text, const OnChar& on_char) {
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = decode_utf8(text, pos);
    on_char(c.code_point, pos, pos + c.length);
    pos += c.length;
  }
}

MarkedText apply_step(const MarkedText& source, const StripAccents&) {
  Writer out(source);
  each_char(source.text, [&](uint32_t c, size_t begin, size_t end) {
    if (c == kInvalid || (class_of(c) & kMark) == 0) out.copy(begin, end);
  });
  return out.take();
}

bool is_nmt_dropped(uint32_t c) {
  return (c >= 1 && c <= 8) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
}
bool is_nmt_space(uint32_t c) {
  return c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
         c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
}

MarkedText apply_step(const MarkedText& source, const NmtCleanup&) {
  Writer out(source);
  each_char(source.text, [&](uint32_t c, size_t begin, size_t end) {
    if (is_nmt_space(c)) {
      out.put(" ", begin, end);
    } else if (!is_nmt_dropped(c)) {
      out.copy(begin, end);
    }
  });
  return out.take();
}

MarkedText apply_step(const MarkedText& source, const ByteAlphabet&) {
  Writer out(source);
  std::string symbol;
  for (size_t i = 0; i < source.text.size(); ++i) {
    symbol.clear();
    append_byte_symbol(symbol, static_cast<unsigned char>(source.text[i]));
    out.put(symbol, i, i + 1);
  }
  return out.take();
}

struct Apply {
  MarkedText& text;
  bool at_start;
  template <typename Step>
  void operator()(const Step& step) const {
    text = apply_step(text, step);
  }
  void operator()(const SentencePieceRules& rules) const { text = apply_step(text, rules, at_start); }
  void operator()(const PrependText& step) const {
    if (text.text.empty()) return;
    text.text.insert(0, step.text);
    if (!text.marks.empty()) text.marks.insert(text.marks.begin(), step.text.size(), false);
  }
};

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

void Normalizer::apply(MarkedText& text, bool at_start) const {
  for (const NormalizerStep& step : steps_) std::visit(Apply{text, at_start}, step);
}

}  // namespace mhub::text
