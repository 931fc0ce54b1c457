// SPDX-License-Identifier: Apache-2.0
// Operations on rows of activations: norms, activation, lookup. Device pointers throughout; shapes are checked.
#pragma once

#include <cuda_runtime.h>

#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

// out = rms_norm(x) * weight; with a residual: residual += x, out = rms_norm(residual) * weight.
void rms_norm(TensorView out, TensorView x, const TensorView* residual, const float* weight, float eps,
              cudaStream_t stream);
// Each head's columns by their own root mean square, in place; weight [head_dim].
void head_rms_norm(TensorView x, int64_t head_dim, const float* weight, float eps, cudaStream_t stream);
void silu_mul(TensorView out, TensorView gate_up, cudaStream_t stream);
// out[i] = table[ids[i]]; rows past the table's end become zero. Same element type.
void take_rows(TensorView out, TensorView table, const int32_t* ids, cudaStream_t stream);
// Whether this build holds machine code that the current device runs.
bool kernels_fit_device();

}  // namespace mhub::kernels::cuda
