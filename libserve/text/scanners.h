// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

namespace mhub::text {

inline constexpr size_t kNoMatch = static_cast<size_t>(-1);

// End of the match of a known pre-tokenizer pattern that begins exactly at `pos`, or kNoMatch. Linear, no state.
using Scanner = size_t (*)(std::string_view text, size_t pos);

// The hand-written scanner of a regular expression, recognised by its exact text; nullptr for any other.
Scanner find_scanner(std::string_view regex);

// The patterns by the name their families use.
namespace patterns {
extern const std::string_view kGpt2, kLlama3, kQwen2, kQwen35, kTekken, kO200k;
extern const std::string_view kDeepseek3Digits, kDeepseek3Cjk, kDeepseek3Words;
extern const std::string_view kNewline, kSpacedLetters, kSpacedPunctuation, kDeepseekCjk, kDigit;
extern const std::string_view kWords;
}  // namespace patterns

}  // namespace mhub::text
