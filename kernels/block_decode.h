// SPDX-License-Identifier: Apache-2.0
#pragma once

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

// Decodes `elems` elements of a GGUF block type (a multiple of its block) to float32.
void decode_blocks(DType dtype, const uint8_t* blocks, int64_t elems, float* out);

}  // namespace mhub::kernels
