// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mhub::text {

// General categories in the order of unicode_tables.inc.
enum class Category : uint8_t {
  kCn,
  kLu,
  kLl,
  kLt,
  kLm,
  kLo,
  kMn,
  kMc,
  kMe,
  kNd,
  kNl,
  kNo,
  kPc,
  kPd,
  kPs,
  kPe,
  kPi,
  kPf,
  kPo,
  kSm,
  kSc,
  kSk,
  kSo,
  kZs,
  kZl,
  kZp,
  kCc,
  kCf,
  kCs,
  kCo,
};

// A set of general categories; bit 31 is the property White_Space.
using ClassMask = uint32_t;
constexpr ClassMask mask_of(Category c) {
  return 1u << static_cast<unsigned>(c);
}
constexpr ClassMask range_of(Category first, Category last) {
  return (mask_of(last) << 1) - mask_of(first);
}
inline constexpr ClassMask kLetter = range_of(Category::kLu, Category::kLo);
inline constexpr ClassMask kMark = range_of(Category::kMn, Category::kMe);
inline constexpr ClassMask kNumber = range_of(Category::kNd, Category::kNo);
inline constexpr ClassMask kPunctuation = range_of(Category::kPc, Category::kPo);
inline constexpr ClassMask kSymbol = range_of(Category::kSm, Category::kSo);
inline constexpr ClassMask kSpace = 1u << 31;

// Category bit of the code point, with kSpace added for White_Space. kInvalid and values past U+10FFFF are kCn.
ClassMask class_of(uint32_t code_point);
// \w as the reference regex engines have it: letters, marks, decimal digits, letter numbers, connectors, joiners,
// circled letters.
bool is_word(uint32_t code_point);
// What Python's str.strip() removes: White_Space and U+001C..U+001F.
bool is_python_space(uint32_t code_point);

// Full case mapping (ß upper is SS), locale-free, with the final sigma rule.
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
// First letter of each word in title case, the rest in lower case (Python's str.title).
std::string to_title(std::string_view text);
// First character in title case, the rest in lower case (Python's str.capitalize).
std::string to_capitalized(std::string_view text);

}  // namespace mhub::text
