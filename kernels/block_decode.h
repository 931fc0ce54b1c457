// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>

#include "mhub/kernels/dtype.h"

namespace mhub::kernels {

// 6-bit scale and minimum of sub-block s (0..7) of a Q4_K or Q5_K block.
struct ScaleMin {
  uint8_t scale, min;
};
inline ScaleMin k4_scale_min(const uint8_t* scales, int s) {
  if (s < 4) return {static_cast<uint8_t>(scales[s] & 63), static_cast<uint8_t>(scales[s + 4] & 63)};
  return {static_cast<uint8_t>((scales[s + 4] & 15) | ((scales[s - 4] >> 6) << 4)),
          static_cast<uint8_t>((scales[s + 4] >> 4) | ((scales[s] >> 6) << 4))};
}
// Scale of sub-block k (0..15) of a Q3_K block, in -32..31.
inline int8_t q3_scale(const uint8_t* scales, int k) {
  const int low = k < 8 ? scales[k] & 15 : scales[k - 8] >> 4;
  const int high = (scales[8 + k % 4] >> (2 * (k / 4))) & 3;
  return static_cast<int8_t>((low | high << 4) - 32);
}

// Scale of sub-block s (0..7) of an IQ4_XS block, in -32..31.
inline int iq4_xs_scale(const uint8_t* block, int s) {
  const int high = (block[2] | block[3] << 8) >> (2 * s) & 3, low = block[4 + s / 2] >> (4 * (s % 2)) & 15;
  return (low | high << 4) - 32;
}
// 2^(x - 128): half of an MXFP4 block's scale, for values counted in halves.
inline float half_e8m0(uint8_t x) {
  const uint32_t bits = x < 2 ? 0x00200000u << x : static_cast<uint32_t>(x - 1) << 23;
  return std::bit_cast<float>(bits);
}
// What the 16 codes of IQ4_NL and IQ4_XS, and (in halves) of MXFP4, stand for.
inline constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
inline constexpr int8_t kFp4Halves[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// Decodes `elems` elements of a GGUF block type (a multiple of its block) to float32.
void decode_blocks(DType dtype, const uint8_t* blocks, int64_t elems, float* out);

}  // namespace mhub::kernels
