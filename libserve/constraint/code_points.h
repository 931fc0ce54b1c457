// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace mhub::constraint {

constexpr char32_t kLastCodePoint = 0x10FFFF;

// A set of Unicode scalar values (no surrogates) as sorted ranges that do not touch.
class CodePointSet {
 public:
  struct Range {
    char32_t first, last;
    bool operator==(const Range&) const = default;
  };
  CodePointSet() = default;
  CodePointSet(std::initializer_list<Range> ranges);
  static CodePointSet all() { return {{0, kLastCodePoint}}; }
  void add(char32_t first, char32_t last);
  void add(const CodePointSet& other);
  CodePointSet complement() const;
  CodePointSet intersection(const CodePointSet& other) const;
  bool contains(char32_t code_point) const;
  bool empty() const { return ranges_.empty(); }
  std::span<const Range> ranges() const { return ranges_; }

 private:
  void normalize();
  std::vector<Range> ranges_;
};

struct ByteRange {
  uint8_t first, last;
  auto operator<=>(const ByteRange&) const = default;
};
// Calls `use` with the byte ranges of each UTF-8 sequence; together they spell exactly the set.
void for_each_utf8_sequence(const CodePointSet& set, const std::function<void(std::span<const ByteRange>)>& use);

// The next code point of well-formed UTF-8, moved out of `text`; kInvalid where it is ill-formed.
constexpr char32_t kInvalid = 0xFFFFFFFF;
char32_t take_code_point(std::string_view& text);
void append_utf8(char32_t code_point, std::string& to);

}  // namespace mhub::constraint
