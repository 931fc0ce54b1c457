// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "pattern.h"

namespace mhub::text {

enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct SplitStep {
  std::shared_ptr<const Pattern> pattern;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;
};
// Byte-level vocabularies: the model maps bytes itself, so this step only adds a space or splits by `pattern`;
// `map` spells the bytes in the printable alphabet for the steps behind it.
struct ByteLevelStep {
  bool add_prefix_space = false;
  std::shared_ptr<const Pattern> pattern;  // null without use_regex
  bool map = false;
};
struct MetaspaceStep {
  std::string replacement;
  enum class Prepend { kAlways, kFirst, kNever } prepend = Prepend::kAlways;
  bool split = true;
};
// Splits at single characters of a class.
struct CharClassStep {
  bool (*matches)(uint32_t code_point);
  SplitBehavior behavior = SplitBehavior::kIsolated;
};
struct FixedLengthStep {
  size_t chars = 5;
};
using PreTokenizerStep = std::variant<SplitStep, ByteLevelStep, MetaspaceStep, CharClassStep, FixedLengthStep>;

// The classes that pre-tokenizers split at.
bool is_punctuation_or_ascii_symbol(uint32_t code_point);
bool is_numeric(uint32_t code_point);
bool is_white_space(uint32_t code_point);

// Cuts text in the pieces that the model encodes one by one. Immutable.
class PreTokenizer {
 public:
  explicit PreTokenizer(std::vector<PreTokenizerStep> steps = {}) : steps_(std::move(steps)) {}

  // The pieces of one text; they point into it or into `storage`. Valid until the object is reused or destroyed.
  struct Pieces {
    std::vector<std::string_view> pieces;
    std::deque<std::string> storage;
  };
  // at_start: the text begins where the whole input begins (Metaspace "first").
  void split(std::string_view text, bool at_start, Pieces& out) const;

 private:
  std::vector<PreTokenizerStep> steps_;
};

}  // namespace mhub::text
