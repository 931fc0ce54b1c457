// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "mhub/base/result.h"

namespace mhub::text {

// What a Split pre-tokenizer looks for: a literal, a known regular expression (own scanner), or another one (PCRE2
// with match limits; a text on which a limit is hit stays in one piece from there on).
class Pattern {
 public:
  virtual ~Pattern() = default;
  // First match at or behind `pos` as [begin, end), never empty; {npos, npos} when there is none.
  virtual std::pair<size_t, size_t> find(std::string_view text, size_t pos) const = 0;

  static Result<std::shared_ptr<const Pattern>> regex(std::string_view expression);
  static std::shared_ptr<const Pattern> literal(std::string text);
};

}  // namespace mhub::text
