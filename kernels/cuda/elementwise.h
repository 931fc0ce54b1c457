// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

// out = activation(gate) * up of gate_up = [gate, up].
void gated_activation(TensorView out, TensorView gate_up, const GatedActivation& activation, cudaStream_t stream);
void scale(TensorView x, float factor, cudaStream_t stream);
void soft_cap(TensorView x, float cap, cudaStream_t stream);
void add(TensorView sum, TensorView x, cudaStream_t stream);
void add_gated(TensorView sum, TensorView x, TensorView gate, cudaStream_t stream);
void copy_heads(TensorView out, int64_t out_step, TensorView x, int64_t x_step, int64_t heads, int64_t width,
                cudaStream_t stream);

}  // namespace mhub::kernels::cuda
