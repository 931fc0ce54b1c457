// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "mhub/base/result.h"

namespace mhub::text {

// What a Split pre-tokenizer looks for: a literal, a known regular expression (own scanner), or another one (PCRE2
// with match limits; a text on which a limit is hit stays in one piece from there on).
class Pattern {
 public:
  virtual ~Pattern() = default;
  // Calls on_match(begin, end) for the matches in order; they do not overlap. An empty one
  // (a look-ahead alone) marks a place to split at.
  using OnMatch = std::function<void(size_t begin, size_t end)>;
  virtual void find_all(std::string_view text, const OnMatch& on_match) const = 0;

  static Result<std::shared_ptr<const Pattern>> regex(std::string_view expression);
  static std::shared_ptr<const Pattern> literal(std::string text);
};

}  // namespace mhub::text
