// SPDX-License-Identifier: Apache-2.0
#include "pre_tokenizer.h"

#include "byte_alphabet.h"
#include "unicode.h"
#include "utf8.h"

namespace mhub::text {
namespace {

using Pieces = std::vector<std::string_view>;

struct Part {
  size_t begin, end;
  bool match;
};

void merge_parts(std::string_view text, const std::vector<Part>& parts, SplitBehavior behavior, Pieces& out) {
  size_t begin = 0, end = 0;
  bool open = false, open_match = false;
  const auto close = [&] {
    if (open && end > begin) out.push_back(text.substr(begin, end - begin));
    open = false;
  };
  for (const Part& part : parts) {
    bool join = false;
    switch (behavior) {
      case SplitBehavior::kRemoved:
      case SplitBehavior::kIsolated:
        break;
      case SplitBehavior::kContiguous:
        join = open && open_match == part.match;
        break;
      case SplitBehavior::kMergedWithPrevious:
        join = open && part.match && !open_match;
        break;
      case SplitBehavior::kMergedWithNext:
        join = open && open_match && !part.match;
        break;
    }
    if (!join) {
      close();
      begin = part.begin;
      open = !(behavior == SplitBehavior::kRemoved && part.match);
    }
    end = part.end;
    open_match = part.match;
  }
  close();
}

void split_by(std::string_view text, const SplitStep& step, Pieces& out) {
  size_t done = 0;
  if (step.behavior == SplitBehavior::kIsolated) {  // the common case needs no list of parts
    step.pattern->find_all(text, [&](size_t begin, size_t end) {
      if (begin > done) out.push_back(text.substr(done, begin - done));
      if (end > begin) out.push_back(text.substr(begin, end - begin));
      done = end;
    });
    if (done < text.size()) out.push_back(text.substr(done));
    return;
  }
  std::vector<Part> parts;
  step.pattern->find_all(text, [&](size_t begin, size_t end) {
    if (begin > done) parts.push_back({done, begin, step.invert});
    parts.push_back({begin, end, !step.invert});
    done = end;
  });
  if (done < text.size()) parts.push_back({done, text.size(), step.invert});
  merge_parts(text, parts, step.behavior, out);
}

template <typename Predicate>
void split_chars(std::string_view text, SplitBehavior behavior, Predicate is_match, Pieces& out) {
  std::vector<Part> parts;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = decode_utf8(text, pos);
    const bool match = is_match(c.code_point);
    if (!match && !parts.empty() && !parts.back().match) {
      parts.back().end += c.length;
    } else {
      parts.push_back({pos, pos + c.length, match});
    }
    pos += c.length;
  }
  merge_parts(text, parts, behavior, out);
}

struct Splitter {
  std::deque<std::string>& storage;
  bool at_start;  // the piece at hand begins the whole input
  Pieces& out;

  void operator()(const SplitStep& step, std::string_view text) const { split_by(text, step, out); }

  void operator()(const ByteLevelStep& step, std::string_view text) const {
    if (step.add_prefix_space && text.front() != ' ') text = storage.emplace_back(" ").append(text);
    const size_t first = out.size();
    if (step.pattern) {
      split_by(text, {step.pattern, SplitBehavior::kIsolated, false}, out);
    } else {
      out.push_back(text);
    }
    if (!step.map) return;
    for (size_t i = first; i < out.size(); ++i) out[i] = storage.emplace_back(to_byte_alphabet(out[i]));
  }

  void operator()(const MetaspaceStep& step, std::string_view text) const {
    std::string& replaced = storage.emplace_back();
    replaced.reserve(text.size() + text.size() / 2);
    for (const char c : text) c == ' ' ? replaced.append(step.replacement) : replaced.append(1, c);
    const bool wanted =
        step.prepend == MetaspaceStep::Prepend::kAlways || (step.prepend == MetaspaceStep::Prepend::kFirst && at_start);
    if (wanted && !replaced.starts_with(step.replacement)) replaced.insert(0, step.replacement);
    if (!step.split) {
      out.push_back(replaced);
      return;
    }
    split_by(replaced, {Pattern::literal(step.replacement), SplitBehavior::kMergedWithNext, false}, out);
  }

  void operator()(const CharClassStep& step, std::string_view text) const {
    split_chars(text, step.behavior, step.matches, out);
  }

  void operator()(const FixedLengthStep& step, std::string_view text) const {
    size_t begin = 0, chars = 0;
    for (size_t pos = 0; pos < text.size();) {
      pos += decode_utf8(text, pos).length;
      if (++chars < step.chars && pos < text.size()) continue;
      out.push_back(text.substr(begin, pos - begin));
      begin = pos;
      chars = 0;
    }
  }
};

}  // namespace

bool is_punctuation_or_ascii_symbol(uint32_t c) {
  return (class_of(c) & kPunctuation) != 0 || (c < 127 && (class_of(c) & kSymbol) != 0);
}
bool is_numeric(uint32_t c) {
  return (class_of(c) & kNumber) != 0;
}
bool is_white_space(uint32_t c) {
  return (class_of(c) & kSpace) != 0;
}

void PreTokenizer::split(std::string_view text, bool at_start, Pieces& out) const {
  out.pieces.clear();
  out.storage.clear();
  if (text.empty()) return;
  out.pieces.push_back(text);
  std::vector<std::string_view> next;
  for (const PreTokenizerStep& step : steps_) {
    next.clear();
    for (size_t i = 0; i < out.pieces.size(); ++i) {
      const Splitter splitter{out.storage, at_start && i == 0, next};
      std::visit([&](const auto& s) { splitter(s, out.pieces[i]); }, step);
    }
    out.pieces.swap(next);
  }
}

}  // namespace mhub::text
