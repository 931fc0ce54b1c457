// SPDX-License-Identifier: Apache-2.0
// Mixture of experts: routing, products grouped by expert, weighted sums. The arrays of ExpertRows are in device
// memory; no launch depends on what they hold.
#pragma once

#include <cuda_runtime.h>

#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

// choices: scratch of rows.rows() experts.
void route_experts(const ExpertRows& rows, TensorView logits, const RouterOptions& options, int32_t* choices,
                   cudaStream_t stream);
void grouped_linear(TensorView out, TensorView x, const ExpertRows& rows, bool by_token, TensorView stacked,
                    const float* bias, cudaStream_t stream);
void combine_experts(TensorView out, TensorView x, const ExpertRows& rows, cudaStream_t stream);

}  // namespace mhub::kernels::cuda
