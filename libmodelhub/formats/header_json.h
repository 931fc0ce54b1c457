// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mhub::formats {

// The strict JSON that a safetensors header may use: objects, arrays of integers, strings, no other value. A cursor;
// every step answers false after the first fault, which `problem()` and `position()` then describe.
class HeaderJson {
 public:
  explicit HeaderJson(std::string_view text) : text_(text) {}

  bool expect(char c);  // skips white space, consumes exactly c
  bool accept(char c);  // the same, but absence is no fault
  bool string(std::string& out, size_t max_bytes);
  bool integer(uint64_t& out);     // digits only, below 2^63
  bool only_spaces_left();         // U+0020 up to the end
  bool fail(std::string problem);  // records the fault at the current position
  const std::string& problem() const { return problem_; }
  size_t position() const { return position_; }

 private:
  void skip_white_space();
  bool escape(std::string& out);
  bool hex4(uint32_t& out);

  std::string_view text_;
  size_t position_ = 0;
  std::string problem_;
};

// First byte that is not part of well-formed UTF-8; nullopt when all is.
std::optional<size_t> first_invalid_utf8(std::string_view text);

}  // namespace mhub::formats
