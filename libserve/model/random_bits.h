// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace mhub::model {

// splitmix64's output function: a good 64-bit mix of a counter. Same input, same output, on every machine.
inline uint64_t mix_bits(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}
inline constexpr uint64_t kCounterStep = 0x9e3779b97f4a7c15u;

}  // namespace mhub::model
