// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "added_tokens.h"
#include "charsmap.h"
#include "pattern.h"

namespace mhub::text {

// Text with one mark per byte. Marks say which bytes came from a user; an empty vector marks nothing.
struct MarkedText {
  std::string text;
  std::vector<bool> marks;
};

struct UnicodeForm {
  bool compose = true;
  bool compatibility = false;
};
struct PrependText {
  std::string text;
};
struct ReplaceText {
  std::string from, to;  // from is not empty
};
struct StripSpaces {
  bool left = true, right = true;
};
struct ReplacePattern {
  std::shared_ptr<const Pattern> pattern;
  std::string to;
};
struct Lowercase {};
struct StripAccents {};  // combining marks as they stand
struct NmtCleanup {};    // drops control characters, turns separators into spaces
struct ByteAlphabet {};  // every byte in the printable alphabet
struct BertCleanup {
  bool clean_text = true;
  bool handle_chinese_chars = true;
  bool strip_accents = true;
  bool lowercase = true;
};
struct PrecompiledMap {
  std::shared_ptr<const Charsmap> map;
};
// The whole normalizer of a sentencepiece model.
struct SentencePieceRules {
  std::shared_ptr<const Charsmap> map;                // may be null
  std::shared_ptr<const AddedTokenMatcher> verbatim;  // user-defined pieces: no rule touches them; may be null
  bool add_dummy_prefix = true;
  bool dummy_prefix_only_first = false;  // only where the whole input begins
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
  bool whitespace_as_suffix = false;
};
using NormalizerStep =
    std::variant<UnicodeForm, PrependText, ReplaceText, ReplacePattern, StripSpaces, Lowercase, StripAccents,
                 NmtCleanup, ByteAlphabet, BertCleanup, PrecompiledMap, SentencePieceRules>;

// The normalizer of a tokenizer. A new byte is marked when a byte it was made from was. Immutable.
class Normalizer {
 public:
  explicit Normalizer(std::vector<NormalizerStep> steps = {}) : steps_(std::move(steps)) {}
  // True when apply() certainly leaves the text as it is.
  bool leaves(std::string_view text) const;
  // at_start: the text begins where the whole input begins.
  void apply(MarkedText& text, bool at_start = true) const;

 private:
  std::vector<NormalizerStep> steps_;
};

}  // namespace mhub::text
