// SPDX-License-Identifier: Apache-2.0
#include "scanners.h"

#include "unicode.h"
#include "utf8.h"

namespace mhub::text {
namespace patterns {
const std::string_view kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
const std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string_view kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string_view kDeepseek3Digits = R"(\p{N}{1,3})";
const std::string_view kDeepseek3Cjk = "[一-龥\u3040-ゟ゠-ヿ]+";
// The published file has CR and LF themselves inside the classes.
const std::string_view kDeepseek3Words =
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "
    "?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+";
const std::string_view kNewline = "[\r\n]";
const std::string_view kSpacedLetters = R"(\s?\p{L}+)";
const std::string_view kSpacedPunctuation = R"(\s?\p{P}+)";
const std::string_view kDeepseekCjk = "[一-龥ࠀ-一가-퟿]+";
const std::string_view kDigit = R"(\p{N})";
const std::string_view kWords = R"(\w+|[^\w\s]+)";
}  // namespace patterns

namespace {

struct Char {
  uint32_t code_point = kInvalid;
  ClassMask mask = 0;
  size_t length = 0;  // 0 at the end of the text
  bool in(ClassMask wanted) const { return (mask & wanted) != 0; }
  bool is_newline() const { return code_point == '\r' || code_point == '\n'; }
};

Char at(std::string_view text, size_t pos) {
  if (pos >= text.size()) return {};
  const Utf8Char c = decode_utf8(text, pos);
  return {c.code_point, class_of(c.code_point), c.length};
}

size_t run_of(std::string_view text, size_t pos, ClassMask wanted) {
  for (Char c = at(text, pos); c.in(wanted); c = at(text, pos)) pos += c.length;
  return pos;
}
size_t run_outside(std::string_view text, size_t pos, ClassMask excluded) {
  for (Char c = at(text, pos); c.length > 0 && !c.in(excluded); c = at(text, pos)) pos += c.length;
  return pos;
}
size_t run_of_bytes(std::string_view text, size_t pos, std::string_view set) {
  while (pos < text.size() && set.find(text[pos]) != std::string_view::npos) ++pos;
  return pos;
}

// \s+(?!\S)|\s+ : the last space of a run is left to the word behind it.
size_t scan_spaces(std::string_view text, size_t pos) {
  size_t end = pos, last = pos;
  for (Char c = at(text, end); c.in(kSpace); c = at(text, end)) {
    last = end;
    end += c.length;
  }
  if (end == pos) return kNoMatch;
  return end < text.size() && last > pos ? last : end;
}

// \s*[\r\n]+ : through the last newline of the run of spaces.
size_t scan_newlines(std::string_view text, size_t pos) {
  size_t end = kNoMatch;
  for (Char c = at(text, pos); c.in(kSpace); c = at(text, pos)) {
    pos += c.length;
    if (c.is_newline()) end = pos;
  }
  return end;
}

size_t scan_newlines_or_spaces(std::string_view text, size_t pos) {
  const size_t end = scan_newlines(text, pos);
  return end != kNoMatch ? end : scan_spaces(text, pos);
}

// 's 't 're 've 'm 'll 'd; with fold_case by Unicode case folding, where U+017F is an s.
size_t scan_contraction(std::string_view text, size_t pos, bool fold_case) {
  if (pos >= text.size() || text[pos] != '\'') return kNoMatch;
  const auto letter = [&](size_t p) -> uint32_t {
    const uint32_t c = at(text, p).code_point;
    if (!fold_case) return c;
    return c == 0x17F ? 's' : c >= 'A' && c <= 'Z' ? c + 32 : c;
  };
  const uint32_t first = letter(pos + 1);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return pos + 1 + at(text, pos + 1).length;
  const uint32_t second = first < 128 ? letter(pos + 2) : 0;
  if (((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l')) return pos + 3;
  return kNoMatch;
}

// \p{N}{1,most}
template <int most>
size_t scan_digits(std::string_view text, size_t pos) {
  size_t end = pos;
  int n = 0;
  for (Char c = at(text, end); n < most && c.in(kNumber); c = at(text, end), ++n) end += c.length;
  return n > 0 ? end : kNoMatch;
}

size_t scan_gpt2(std::string_view text, size_t pos) {
  if (const size_t end = scan_contraction(text, pos, false); end != kNoMatch) return end;
  const size_t start = pos + (text[pos] == ' ' ? 1 : 0);
  const Char c = at(text, start);
  if (c.in(kLetter)) return run_of(text, start, kLetter);
  if (c.in(kNumber)) return run_of(text, start, kNumber);
  if (c.length > 0 && !c.in(kSpace)) return run_outside(text, start, kSpace | kLetter | kNumber);
  return scan_spaces(text, pos);
}

//  ?[^...]+[tail]*
size_t scan_punctuation(std::string_view text, size_t pos, ClassMask excluded, std::string_view tail) {
  const size_t start = pos + (text[pos] == ' ' ? 1 : 0);
  const size_t end = run_outside(text, start, excluded);
  return end > start ? run_of_bytes(text, end, tail) : kNoMatch;
}

// The cl100k family; `letters` is what a word is made of.
template <int digits, ClassMask letters>
size_t scan_cl100k(std::string_view text, size_t pos) {
  if (const size_t end = scan_contraction(text, pos, true); end != kNoMatch) return end;
  const Char c = at(text, pos);
  if (!c.in(kLetter | kNumber) && !c.is_newline() && at(text, pos + c.length).in(letters)) {
    return run_of(text, pos + c.length, letters);
  }
  if (c.in(letters)) return run_of(text, pos, letters);
  if (c.in(kNumber)) return scan_digits<digits>(text, pos);
  const size_t end = scan_punctuation(text, pos, kSpace | kNumber | letters, "\r\n");
  return end != kNoMatch ? end : scan_newlines_or_spaces(text, pos);
}

constexpr ClassMask kUpperLike =
    mask_of(Category::kLu) | mask_of(Category::kLt) | mask_of(Category::kLm) | mask_of(Category::kLo) | kMark;
constexpr ClassMask kLowerLike = mask_of(Category::kLl) | mask_of(Category::kLm) | mask_of(Category::kLo) | kMark;

// [upper-like]*[lower-like]+ with the reference engine's backtracking.
size_t scan_lower_word(std::string_view text, size_t pos) {
  size_t end = pos, after_last_lower = kNoMatch;
  for (Char c = at(text, end); c.in(kUpperLike); c = at(text, end)) {
    end += c.length;
    if (c.in(kLowerLike)) after_last_lower = end;
  }
  const size_t lower_end = run_of(text, end, kLowerLike);
  return lower_end > end ? lower_end : after_last_lower;
}
// [upper-like]+[lower-like]*
size_t scan_upper_word(std::string_view text, size_t pos) {
  const size_t end = run_of(text, pos, kUpperLike);
  return end > pos ? run_of(text, end, kLowerLike) : kNoMatch;
}

template <int digits, bool contractions>
size_t scan_cased(std::string_view text, size_t pos) {
  const Char c = at(text, pos);
  const bool prefix = !c.in(kLetter | kNumber) && !c.is_newline();
  for (const Scanner word : {&scan_lower_word, &scan_upper_word}) {
    size_t end = prefix ? word(text, pos + c.length) : kNoMatch;
    if (end == kNoMatch) end = word(text, pos);
    if (end == kNoMatch) continue;
    const size_t longer = contractions ? scan_contraction(text, end, true) : kNoMatch;
    return longer != kNoMatch ? longer : end;
  }
  if (c.in(kNumber)) return scan_digits<digits>(text, pos);
  const size_t end = scan_punctuation(text, pos, kSpace | kLetter | kNumber, "\r\n/");
  return end != kNoMatch ? end : scan_newlines_or_spaces(text, pos);
}

bool is_ascii_letter(const Char& c) {
  return c.code_point < 128 && ((c.code_point | 32) >= 'a' && (c.code_point | 32) <= 'z');
}
bool is_ascii_punctuation(const Char& c) {
  return c.code_point < 127 && c.in(kPunctuation | kSymbol);
}

size_t scan_deepseek3_words(std::string_view text, size_t pos) {
  constexpr ClassMask kWord = kLetter | kMark;
  const Char c = at(text, pos);
  if (is_ascii_punctuation(c) && is_ascii_letter(at(text, pos + 1))) {
    size_t end = pos + 2;
    while (is_ascii_letter(at(text, end))) ++end;
    return end;
  }
  if (!c.in(kLetter | kPunctuation | kSymbol) && !c.is_newline() && at(text, pos + c.length).in(kWord)) {
    return run_of(text, pos + c.length, kWord);
  }
  if (c.in(kWord)) return run_of(text, pos, kWord);
  const size_t start = pos + (text[pos] == ' ' ? 1 : 0);
  const size_t end = run_of(text, start, kPunctuation | kSymbol);
  if (end > start) return run_of_bytes(text, end, "\r\n");
  return scan_newlines_or_spaces(text, pos);
}

template <uint32_t... bounds>
size_t scan_code_points(std::string_view text, size_t pos) {
  constexpr uint32_t kBounds[] = {bounds...};
  const auto inside = [&](uint32_t c) {
    for (size_t i = 0; i < sizeof...(bounds); i += 2) {
      if (c >= kBounds[i] && c <= kBounds[i + 1]) return true;
    }
    return false;
  };
  size_t end = pos;
  for (Char c = at(text, end); c.length > 0 && inside(c.code_point); c = at(text, end)) end += c.length;
  return end > pos ? end : kNoMatch;
}

// \s?[wanted]+
template <ClassMask wanted>
size_t scan_spaced(std::string_view text, size_t pos) {
  const Char c = at(text, pos);
  const size_t start = c.in(kSpace) ? pos + c.length : pos;
  const size_t end = run_of(text, start, wanted);
  return end > start ? end : kNoMatch;
}

size_t scan_newline(std::string_view text, size_t pos) {
  return at(text, pos).is_newline() ? pos + 1 : kNoMatch;
}

size_t scan_words(std::string_view text, size_t pos) {
  const Char first = at(text, pos);
  if (first.in(kSpace)) return kNoMatch;
  const bool word = is_word(first.code_point);
  for (Char c = first; c.length > 0 && !c.in(kSpace) && is_word(c.code_point) == word; c = at(text, pos))
    pos += c.length;
  return pos;
}

struct Known {
  std::string_view regex;
  Scanner scanner;
};

}  // namespace

Scanner find_scanner(std::string_view regex) {
  const Known known[] = {
      {patterns::kGpt2, scan_gpt2},
      {patterns::kLlama3, scan_cl100k<3, kLetter>},
      {patterns::kQwen2, scan_cl100k<1, kLetter>},
      {patterns::kQwen35, scan_cl100k<1, kLetter | kMark>},
      {patterns::kTekken, scan_cased<1, false>},
      {patterns::kO200k, scan_cased<3, true>},
      {patterns::kDeepseek3Digits, scan_digits<3>},
      {patterns::kDeepseek3Cjk, scan_code_points<0x4E00, 0x9FA5, 0x3040, 0x309F, 0x30A0, 0x30FF>},
      {patterns::kDeepseek3Words, scan_deepseek3_words},
      {patterns::kNewline, scan_newline},
      {patterns::kSpacedLetters, scan_spaced<kLetter>},
      {patterns::kSpacedPunctuation, scan_spaced<kPunctuation>},
      {patterns::kDeepseekCjk, scan_code_points<0x4E00, 0x9FA5, 0x0800, 0x4E00, 0xAC00, 0xD7FF>},
      {patterns::kDigit, scan_digits<1>},
      {patterns::kWords, scan_words},
  };
  for (const Known& k : known) {
    if (k.regex == regex) return k.scanner;
  }
  return nullptr;
}

}  // namespace mhub::text
