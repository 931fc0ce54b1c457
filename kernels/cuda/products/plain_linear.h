// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

// out = x * W^T + bias for shapes that the library refuses (odd strides of the 16-bit types): a warp per result.
void plain_linear(TensorView out, TensorView x, TensorView weight, const void* bias, cudaStream_t stream);

}  // namespace mhub::kernels::cuda
