// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "mhub/kernels/dtype.h"

namespace mhub::kernels::cuda {

// Matrices of a product grouped by expert; strides in elements.
struct GroupedProduct {
  void* out;
  const void* x;
  const void* weight;         // [experts * n, k]
  const float* bias;          // [experts * n] or null
  const int32_t* offsets;     // [experts + 1] first row of each expert
  const int32_t* row_tokens;  // row of x for each row of out; null: the same
  int64_t out_stride, x_stride, weight_stride;
  int64_t rows;  // of out
  int experts, n, k;
};

// For many rows an expert: tiles of 64 rows by 128 columns, so that a weight is read once for 64 rows. k is a multiple
// of 8, rows are 16-byte aligned, FP16 or BF16.
void grouped_tiles(const GroupedProduct& product, DType dtype, cudaStream_t stream);

}  // namespace mhub::kernels::cuda
