// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "mhub/kernels/half.h"
#include "mhub/kernels/matrix.h"

namespace mhub::kernels {

// Element access to a group-quantized matrix (kU4 or kI8 with scales).
class GroupCodes {
 public:
  explicit GroupCodes(const MatrixSource& source)
      : s_(source), groups_((source.cols + source.group_size - 1) / source.group_size) {}

  int64_t groups() const { return groups_; }

  // Signed: -8..7 or -128..127.
  int code(int64_t row, int64_t col) const {
    if (s_.dtype == DType::kU4) return packed<4>(s_.data, row * words(8) + col / 8, col % 8);
    if (s_.packed_i8) return packed<8>(s_.data, row * words(4) + col / 4, col % 4);
    return static_cast<const int8_t*>(s_.data)[row * s_.cols + col];
  }
  int zero(int64_t row, int64_t group) const {
    if (s_.zeros == nullptr) return 0;
    if (s_.dtype == DType::kU4) return packed<4>(s_.zeros, row / 8 * groups_ + group, row % 8);
    return packed<8>(s_.zeros, row / 4 * groups_ + group, row % 4);
  }
  float scale(int64_t row, int64_t group) const {
    const int64_t i = row * groups_ + group;
    const uint8_t* p = static_cast<const uint8_t*>(s_.scales);
    switch (s_.scale_dtype) {
      case DType::kF16:
        return float_from_f16(load_unaligned<uint16_t>(p + 2 * i));
      case DType::kBF16:
        return float_from_bf16(load_unaligned<uint16_t>(p + 2 * i));
      default:
        return load_unaligned<float>(p + 4 * i);
    }
  }

 private:
  int64_t words(int64_t per_word) const { return (s_.cols + per_word - 1) / per_word; }

  template <int kBits>
  static int packed(const void* data, int64_t word, int64_t index) {
    const uint32_t bits = load_unaligned<uint32_t>(static_cast<const uint8_t*>(data) + 4 * word);
    return static_cast<int>((bits >> (kBits * index)) & ((1u << kBits) - 1)) - (1 << (kBits - 1));
  }

  const MatrixSource& s_;
  int64_t groups_;
};

}  // namespace mhub::kernels
