// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

namespace mhub {

// A bug of mhub. Caught in one place: the top of the engine loop, or main (exit 1).
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] inline void check_failed(const char* condition, const char* file, int line) {
  throw InternalError(std::string(file) + ":" + std::to_string(line) + ": check failed: " + condition);
}

}  // namespace mhub

#define MHUB_CHECK(condition) \
  (static_cast<bool>(condition) ? void(0) : ::mhub::check_failed(#condition, __FILE__, __LINE__))
