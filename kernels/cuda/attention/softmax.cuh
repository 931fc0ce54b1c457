// SPDX-License-Identifier: Apache-2.0
// Online softmax in base 2. A row without a visible key yet has maximum -infinity and sum 0.
#pragma once

#include "cuda/attention/plan.h"
#include "cuda/attention/tensor_core.cuh"

namespace mhub::kernels::cuda {

constexpr float kNothing = -INFINITY;

// A product of query and key as a base-2 score.
__device__ inline float to_score(const AttentionParams& p, float product) {
  if (p.cap_log2 == 0.0f) return product * p.scale_log2;
  // tanh(x) = 1 - 2 / (e^2x + 1)
  const float e = exp2_approx(product * p.scale_over_cap * 2.885390081777927f);
  return p.cap_log2 * (1.0f - __fdividef(2.0f, e + 1.0f));
}

__device__ inline float quad_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(~0u, x, 1));
  return fmaxf(x, __shfl_xor_sync(~0u, x, 2));
}
__device__ inline float quad_sum(float x) {
  x += __shfl_xor_sync(~0u, x, 1);
  return x + __shfl_xor_sync(~0u, x, 2);
}

// 2^(from - to) for from <= to, 0 when from is nothing.
__device__ inline float decay(float from, float to) {
  return from == kNothing ? 0.0f : exp2_approx(from - to);
}

// What a row's weighted sum is multiplied with in the end; the sink joins the sum here.
__device__ inline float normalizer(const AttentionParams& p, int q_head, float maximum, float sum) {
  if (p.sinks == nullptr) return sum > 0.0f ? 1.0f / sum : 0.0f;
  const float sink = p.sinks[q_head] * 1.4426950408889634f;
  const float top = fmaxf(maximum, sink);
  const float kept = decay(maximum, top);
  return kept / (sum * kept + exp2_approx(sink - top));
}

}  // namespace mhub::kernels::cuda
