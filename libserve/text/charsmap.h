// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mhub/base/result.h"

namespace mhub::text {

// sentencepiece's precompiled normalization rules: a double array of texts and the pool of what they become. Every
// access is checked, so a damaged array finds nothing. Immutable.
class Charsmap {
 public:
  // `blob`: u32 size of the array in bytes, the array (u32 units, little-endian), the pool (NUL after each text).
  // Errors: kBadModel.
  static Result<std::shared_ptr<const Charsmap>> parse(std::string_view blob);

  struct Match {
    size_t length;  // bytes of the text that the rule replaces
    std::string_view to;
  };
  std::optional<Match> longest(std::string_view text) const { return find(text, true); }
  std::optional<Match> shortest(std::string_view text) const { return find(text, false); }

 private:
  std::optional<Match> find(std::string_view text, bool longest) const;

  std::vector<uint32_t> units_;
  std::string pool_;
};

}  // namespace mhub::text
