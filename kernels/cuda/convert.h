// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

// out = in, element by element, rounded to out's type where that is narrower. F32, F16 and BF16 on both sides.
void convert(TensorView out, TensorView in, cudaStream_t stream);
// The values that MatrixSource::random_key stands for.
void fill_random(TensorView out, DType source_dtype, uint64_t key, cudaStream_t stream);

}  // namespace mhub::kernels::cuda
