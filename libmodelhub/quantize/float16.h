// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace mhub::quantize {

// float32 to the 16-bit formats, rounded to nearest even, and back. Finite values only.
inline uint16_t bf16_from_float(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
inline float float_from_bf16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

inline float float_from_f16(uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24)
                                        : std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}
// Beyond the largest finite half the result is that half, with the sign.
inline uint16_t f16_from_float(float value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const float magnitude = std::fabs(value);
  if (magnitude >= 65504.0f) return sign | 0x7BFF;
  int exponent = 0;
  std::frexp(magnitude, &exponent);                       // magnitude = m * 2^exponent, m in [0.5, 1)
  const int unit = exponent < -13 ? -24 : exponent - 11;  // value of the last mantissa bit
  const auto steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, -unit)));
  return static_cast<uint16_t>(sign | (unit == -24 ? steps : steps + (static_cast<uint32_t>(unit + 24) << 10)));
}

}  // namespace mhub::quantize
