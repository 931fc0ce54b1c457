// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "cuda/element.cuh"
#include "cuda/experts.h"

namespace mhub::kernels::cuda {
namespace {

constexpr int kMaxExperts = 1024;
constexpr int kGroupThreads = 1024;

struct RouteArgs {
  const void* logits;
  const float* bias;
  int32_t* choices;
  float* weights;
  int64_t stride;
  int experts, top_k, groups, kept_groups;
  bool sigmoid, top_two, renormalize;
  float scale;
};

__device__ float warp_max(float x) {
  for (int offset = 16; offset > 0; offset /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffff, x, offset));
  return x;
}
__device__ float warp_sum(float x) {
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffff, x, offset);
  return x;
}

// How many of `count` values come before values[own]: greater ones, and equal ones with a lower index.
__device__ int rank_among(const float* values, int count, int own) {
  const float mine = values[own];
  int before = 0;
  for (int i = 0; i < count; ++i) before += values[i] > mine || (values[i] == mine && i < own);
  return before;
}

// A warp per token.
template <class T>
__global__ void __launch_bounds__(32) route_kernel(RouteArgs a) {
  __shared__ float scores[kMaxExperts], choice[kMaxExperts], group_scores[kMaxExperts];
  const int64_t token = blockIdx.x;
  const int lane = threadIdx.x;
  const T* logits = static_cast<const T*>(a.logits) + token * a.stride;
  if (a.sigmoid) {
    for (int e = lane; e < a.experts; e += 32) scores[e] = 1.0f / (1.0f + expf(-to_float(logits[e])));
  } else {
    float top = -INFINITY, total = 0.0f;
    for (int e = lane; e < a.experts; e += 32) top = fmaxf(top, to_float(logits[e]));
    top = warp_max(top);
    for (int e = lane; e < a.experts; e += 32) total += scores[e] = expf(to_float(logits[e]) - top);
    total = warp_sum(total);
    for (int e = lane; e < a.experts; e += 32) scores[e] /= total;
  }
  for (int e = lane; e < a.experts; e += 32) {
    const float x = scores[e] + (a.bias != nullptr ? a.bias[e] : 0.0f);
    choice[e] = isnan(x) ? -INFINITY : x;
  }
  __syncwarp();
  if (a.kept_groups < a.groups) {
    const int size = a.experts / a.groups;
    for (int g = lane; g < a.groups; g += 32) {
      float best = -INFINITY, second = -INFINITY;
      for (int e = g * size; e < (g + 1) * size; ++e) {
        second = fmaxf(second, fminf(best, choice[e]));
        best = fmaxf(best, choice[e]);
      }
      group_scores[g] = a.top_two && size > 1 ? best + second : best;
    }
    __syncwarp();
    for (int g = lane; g < a.groups; g += 32) {
      if (rank_among(group_scores, a.groups, g) < a.kept_groups) continue;
      for (int e = g * size; e < (g + 1) * size; ++e) choice[e] = -INFINITY;
    }
    __syncwarp();
  }
  int32_t* chosen = a.choices + token * a.top_k;
  float* weights = a.weights + token * a.top_k;
  for (int e = lane; e < a.experts; e += 32) {
    const int rank = rank_among(choice, a.experts, e);
    if (rank < a.top_k) chosen[rank] = e;
  }
  __syncwarp();
  if (lane != 0) return;
  float total = 0.0f;
  for (int j = 0; j < a.top_k; ++j) total += scores[chosen[j]];
  const float factor = a.renormalize ? a.scale / (total + 1e-20f) : a.scale;
  for (int j = 0; j < a.top_k; ++j) weights[j] = scores[chosen[j]] * factor;
}

// One block: counts, their prefix sums, then each expert's rows in the order of the choices, a warp per expert.
__global__ void __launch_bounds__(kGroupThreads) group_kernel(ExpertRows rows, const int32_t* choices) {
  __shared__ int32_t counts[kMaxExperts];
  const auto experts = static_cast<int>(rows.experts), total = static_cast<int>(rows.tokens * rows.top_k);
  for (int e = threadIdx.x; e < experts; e += kGroupThreads) counts[e] = 0;
  __syncthreads();
  for (int i = threadIdx.x; i < total; i += kGroupThreads) atomicAdd(&counts[choices[i]], 1);
  __syncthreads();
  if (threadIdx.x == 0) {
    int32_t first = 0;
    for (int e = 0; e < experts; ++e) {
      rows.offsets[e] = first;
      const int32_t count = counts[e];
      counts[e] = first;  // where the expert's rows begin
      first += count;
    }
    rows.offsets[experts] = first;
  }
  __syncthreads();
  const int lane = threadIdx.x % 32;
  for (int e = threadIdx.x / 32; e < experts; e += kGroupThreads / 32) {
    int32_t next = counts[e];
    for (int i = lane; i - lane < total; i += 32) {
      const bool own = i < total && choices[i] == e;
      const unsigned owners = __ballot_sync(0xffffffff, own);
      if (own) {
        const int32_t row = next + __popc(owners & ((1u << lane) - 1));
        rows.choice_rows[i] = row;
        rows.row_tokens[row] = i / static_cast<int>(rows.top_k);
      }
      next += __popc(owners);
    }
  }
}

}  // namespace

void route_experts(const ExpertRows& rows, TensorView logits, const RouterOptions& options, int32_t* choices,
                   cudaStream_t stream) {
  constexpr const char* kName = "route_experts";
  require(logits.rows == rows.tokens && logits.cols == rows.experts && rows.experts <= kMaxExperts, kName,
          {logits.rows, logits.cols, rows.tokens, rows.experts}, "shapes differ, or more than 1024 experts");
  require(options.top_k == rows.top_k && options.top_k > 0 && options.top_k <= rows.experts, kName,
          {options.top_k, rows.experts}, "bad top_k");
  require(options.groups > 0 && rows.experts % options.groups == 0 && options.kept_groups > 0 &&
              options.kept_groups <= options.groups &&
              options.kept_groups * (rows.experts / options.groups) >= options.top_k,
          kName, {options.groups, options.kept_groups}, "bad groups");
  require(rows.rows() < (int64_t{1} << 31), kName, {rows.rows()}, "too many rows");
  if (rows.tokens == 0) return;
  const RouteArgs a{logits.data,
                    options.bias,
                    choices,
                    rows.choice_weights,
                    logits.stride,
                    static_cast<int>(rows.experts),
                    static_cast<int>(options.top_k),
                    static_cast<int>(options.groups),
                    static_cast<int>(options.kept_groups),
                    options.sigmoid,
                    options.group_by_top_two,
                    options.renormalize,
                    options.scale};
  for_element(logits.dtype, kName, [&](auto tag) {
    using T = typename decltype(tag)::type;
    route_kernel<T><<<static_cast<unsigned>(rows.tokens), 32, 0, stream>>>(a);
  });
  group_kernel<<<1, kGroupThreads, 0, stream>>>(rows, choices);
  check_launch(kName, {rows.tokens, rows.experts});
}

}  // namespace mhub::kernels::cuda
