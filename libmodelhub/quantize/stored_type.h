// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "mhub/base/check.h"
#include "mhub/kernels/half.h"
#include "mhub/kernels/matrix.h"

namespace mhub::quantize {

// The 16-bit type in which scales and kept tensors are written. A finite value stays finite: beyond the largest half
// the result is that half, with the sign.
class StoredType {
 public:
  explicit StoredType(kernels::DType dtype) : half_(dtype == kernels::DType::kF16) {
    MHUB_CHECK(dtype == kernels::DType::kF16 || dtype == kernels::DType::kBF16);
  }
  uint16_t bits(float x) const {
    return half_ ? kernels::f16_from_float(std::clamp(x, -kLargestHalf, kLargestHalf)) : kernels::bf16_from_float(x);
  }
  float value(uint16_t bits) const { return half_ ? kernels::float_from_f16(bits) : kernels::float_from_bf16(bits); }

 private:
  static constexpr float kLargestHalf = 65504;
  bool half_;
};

}  // namespace mhub::quantize
