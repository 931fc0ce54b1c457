// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

// out = x * W^T + bias for the few rows of decoding, where reading W is all the work. FP16 and BF16.
bool skinny_linear_fits(TensorView out, TensorView x, TensorView weight);
// How many ways there are to cut the work; which is fastest depends on the shape.
constexpr int kSkinnyVariants = 3;
void skinny_linear(TensorView out, TensorView x, TensorView weight, const void* bias, int variant, cudaStream_t stream);

}  // namespace mhub::kernels::cuda
