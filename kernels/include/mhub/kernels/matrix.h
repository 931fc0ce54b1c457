// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "mhub/kernels/dtype.h"

namespace mhub::kernels {

// A weight matrix as it lies in a model file: y = x * W^T, W is [rows = out features, cols = in features], row-major.
// Borrowed bytes, only read during Backend::prepare / dequantize_rows; may be unaligned.
struct MatrixSource {
  DType dtype = DType::kF32;  // kF32/kF16/kBF16, a GGUF block type, kI8 kU4 or kF8E4M3 (the last three with scales)
  int64_t rows = 0;
  int64_t cols = 0;
  const void* data = nullptr;
  // Group quantization (compressed-tensors, dtype kU4 or kI8): W[n,k] = scale[n, k/group] * (q[n,k] - zero[n,
  // k/group]).
  //  kU4: data is I32 [rows, ceil(cols/8)], nibble i of word c = column 8c+i, stored as q + 8 (q in -8..7).
  //  kI8: data is I8 [rows, cols] (int-quantized), or I32 words of 4 bytes stored as q + 128 when packed_i8 is true.
  //  kF8E4M3: W[n,k] = scale[(first_row + n) / group_rows, k / group_size] * w[n,k]; data is [rows, cols] bytes.
  int64_t group_size = 0;        // columns per scale; cols when one scale per row
  const void* scales = nullptr;  // [rows, ceil(cols/group_size)] of scale_dtype
  DType scale_dtype = DType::kF32;
  // Optional zero points in q's signed range: packed like the weights but along rows, I32 [ceil(rows/pf), groups],
  // pf = 8 (kU4) or 4 (kI8), stored with the same offset (8 or 128). null = symmetric (zero 0).
  const void* zeros = nullptr;
  bool packed_i8 = false;
  int64_t group_rows = 1, first_row = 0;  // kF8E4M3: rows that share scales, and where in the grid of scales row 0 lies
  // A stand-in without bytes (data null, dtype kF32 or kBF16), only for back ends whose makes_random() is true: element
  // i (row-major) is ((mix(key + i * step) & 0xffff) / 32768 - 1) * 0.035, cut to the dtype, with splitmix64's mix and
  // step.
  std::optional<uint64_t> random_key = std::nullopt;

  // Rows [first, first + count) as a matrix of their own. Precondition: in range; with zeros, first is a multiple of
  // pf.
  MatrixSource rows_at(int64_t first, int64_t count) const;
};

// Writes rows [first_row, first_row + num_rows) as float32 [num_rows, cols]. Exact for every type (float32 arithmetic
// in the order the format's reference decoder uses). Precondition: the source is valid for its dtype.
void dequantize_rows(const MatrixSource& source, int64_t first_row, int64_t num_rows, float* out);

}  // namespace mhub::kernels
