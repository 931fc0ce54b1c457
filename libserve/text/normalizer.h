// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

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
struct Lowercase {};
using NormalizerStep = std::variant<UnicodeForm, PrependText, ReplaceText, StripSpaces, Lowercase>;

// The normalizer of a tokenizer. A new byte is marked when a byte it was made from was. Immutable.
class Normalizer {
 public:
  explicit Normalizer(std::vector<NormalizerStep> steps = {}) : steps_(std::move(steps)) {}
  // True when apply() certainly leaves the text as it is.
  bool leaves(std::string_view text) const;
  void apply(MarkedText& text) const;

 private:
  std::vector<NormalizerStep> steps_;
};

}  // namespace mhub::text
