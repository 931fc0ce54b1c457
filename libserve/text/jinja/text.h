// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mhub::text::jinja {

// A string that knows which of its bytes came from the request (a user) and not from the template. Operations keep the
// ranges where they can and else widen them: a template's byte may count as a user's, never the other way round.
class Text {
 public:
  struct Range {
    uint32_t begin, end;
  };

  Text() = default;
  explicit Text(std::string bytes) : bytes_(std::move(bytes)) {}
  static Text from_user(std::string bytes);
  // `bytes` made from parts of which at least one was the user's, when `user` is set.
  static Text made(std::string bytes, bool user) { return user ? from_user(std::move(bytes)) : Text(std::move(bytes)); }

  const std::string& bytes() const { return bytes_; }
  std::string_view view() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  const std::vector<Range>& user_ranges() const { return user_; }
  bool has_user_bytes() const { return !user_.empty(); }
  // Marked by the safe and escape filters; adding to it escapes the other side.
  bool is_markup() const { return markup_; }
  Text as_markup() const;

  void append(std::string_view bytes) { bytes_.append(bytes); }
  void append(const Text& other);
  void append_user(std::string_view bytes);
  Text slice(size_t begin, size_t end) const;  // bytes

  // Without the characters of `set` (nullptr: Python's white space) at the chosen ends.
  Text strip(const std::string* set, bool left, bool right) const;
  Text replace(const Text& from, const Text& to, size_t most) const;
  // Separator not empty. `most` splits at most; from the right with `from_right`.
  std::vector<Text> split(std::string_view separator, size_t most, bool from_right) const;
  std::vector<Text> split_spaces(size_t most) const;
  std::vector<Text> split_lines(bool keep_ends) const;
  // &<>'" as HTML entities.
  Text escaped() const;

 private:
  void add_range(uint32_t begin, uint32_t end);

  std::string bytes_;
  std::vector<Range> user_;  // sorted, disjoint, not empty
  bool markup_ = false;
};

}  // namespace mhub::text::jinja
