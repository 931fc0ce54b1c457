// SPDX-License-Identifier: Apache-2.0
// Random matrices of every weight type, with their bytes and the MatrixSource that describes them.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "mhub/kernels/matrix.h"

namespace mhub::testing {

inline std::vector<float> random_floats(std::mt19937& rng, int64_t count, float spread = 1.0f) {
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> out(static_cast<size_t>(count));
  for (float& x : out) x = normal(rng);
  return out;
}

struct RandomMatrix {
  std::vector<uint8_t> data, scales, zeros;
  kernels::MatrixSource source;  // points into the vectors: move the struct only with care (moving keeps the pointers)

  RandomMatrix() = default;
  RandomMatrix(RandomMatrix&&) = default;
  RandomMatrix(const RandomMatrix&) = delete;

  std::vector<float> decoded() const {
    std::vector<float> out(static_cast<size_t>(source.rows * source.cols));
    kernels::dequantize_rows(source, 0, source.rows, out.data());
    return out;
  }
};

struct MatrixKind {
  kernels::DType dtype;
  int64_t group_size = 0;
  bool zeros = false;
  bool packed_i8 = false;
  kernels::DType scale_dtype = kernels::DType::kF16;
};

inline uint16_t small_half(std::mt19937& rng) {  // sign, exponent 2^-7..2^-4, random mantissa
  const uint32_t r = static_cast<uint32_t>(rng());
  return static_cast<uint16_t>((r & 0x83ff) | ((8 + (r >> 16) % 4) << 10));
}

// `shift` bytes before the data make the pointer unaligned.
inline RandomMatrix random_matrix(std::mt19937& rng, const MatrixKind& kind, int64_t rows, int64_t cols,
                                  size_t shift = 0) {
  using kernels::DType;
  RandomMatrix m;
  kernels::MatrixSource& s = m.source;
  s.dtype = kind.dtype;
  s.rows = rows;
  s.cols = cols;
  const auto fill = [&](std::vector<uint8_t>& bytes, int64_t count) {
    bytes.resize(static_cast<size_t>(count) + shift);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(rng());
    return bytes.data() + shift;
  };
  if (kind.group_size > 0) {
    const int64_t pf = kind.dtype == DType::kU4 ? 8 : 4;
    const int64_t groups = (cols + kind.group_size - 1) / kind.group_size;
    s.group_size = kind.group_size;
    s.packed_i8 = kind.packed_i8;
    s.scale_dtype = kind.scale_dtype;
    const bool packed = kind.dtype == DType::kU4 || kind.packed_i8;
    s.data = fill(m.data, rows * (packed ? 4 * ((cols + pf - 1) / pf) : cols));
    const int64_t size = kernels::dtype_info(kind.scale_dtype).block_bytes;
    uint8_t* scales = fill(m.scales, rows * groups * size);
    for (int64_t i = 0; i < rows * groups; ++i) {
      if (kind.scale_dtype == DType::kF16) {
        const uint16_t h = small_half(rng) & 0x7fff;
        std::memcpy(scales + 2 * i, &h, 2);
        continue;
      }
      const float f = 0.002f + 0.0001f * static_cast<float>(rng() % 100);
      uint32_t bits;
      std::memcpy(&bits, &f, 4);
      const uint16_t top = static_cast<uint16_t>(bits >> 16);
      if (kind.scale_dtype == DType::kBF16) {
        std::memcpy(scales + 2 * i, &top, 2);
      } else {
        std::memcpy(scales + 4 * i, &bits, 4);
      }
    }
    s.scales = scales;
    if (kind.zeros) s.zeros = fill(m.zeros, (rows + pf - 1) / pf * groups * 4);
    return m;
  }
  const auto info = kernels::dtype_info(kind.dtype);
  const int64_t bytes = rows * static_cast<int64_t>(*kernels::row_bytes(kind.dtype, static_cast<uint64_t>(cols)));
  uint8_t* data = fill(m.data, bytes);
  s.data = data;
  if (!kernels::is_block_type(kind.dtype)) {
    const std::vector<float> values = random_floats(rng, rows * cols, 0.1f);
    for (int64_t i = 0; i < rows * cols; ++i) {
      uint32_t bits;
      std::memcpy(&bits, &values[static_cast<size_t>(i)], 4);
      uint16_t half = static_cast<uint16_t>(bits >> 16);
      if (kind.dtype == DType::kF16) half = small_half(rng);
      if (kind.dtype == DType::kF32) {
        std::memcpy(data + 4 * i, &bits, 4);
      } else {
        std::memcpy(data + 2 * i, &half, 2);
      }
    }
    return m;
  }
  std::vector<size_t> halves;  // offsets of the block's f16 fields
  switch (kind.dtype) {
    case DType::kQ4_1:
    case DType::kQ5_1:
    case DType::kQ4_K:
    case DType::kQ5_K:
      halves = {0, 2};
      break;
    case DType::kQ2_K:
      halves = {80, 82};
      break;
    case DType::kQ3_K:
      halves = {108};
      break;
    case DType::kQ6_K:
      halves = {208};
      break;
    case DType::kMXFP4:
      for (int64_t at = 0; at < bytes; at += info.block_bytes) data[at] = static_cast<uint8_t>(118 + rng() % 6);
      break;
    default:
      halves = {0};
      break;
  }
  for (int64_t at = 0; at < bytes; at += info.block_bytes) {
    for (size_t offset : halves) {
      const uint16_t half = small_half(rng);
      std::memcpy(data + at + static_cast<int64_t>(offset), &half, 2);
    }
  }
  return m;
}

}  // namespace mhub::testing
