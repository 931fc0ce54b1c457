// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include "cuda/kv_cache.h"

namespace mhub::kernels::cuda {

struct RopeArgs {
  TensorView q, k, v;        // q is rotated in place; v is not read for a latent cache
  const int32_t* positions;  // device, per row
  const int32_t* slots;      // device, per row; -1 = nothing is written
  const float* cos_sin;      // device [max_position, rotary_dim]
  int64_t rotary_dim;
  RopeStyle style;
};
void rope_and_write_kv(const RopeArgs& args, const CudaKvCache& cache, int64_t layer, cudaStream_t stream);

}  // namespace mhub::kernels::cuda
