// SPDX-License-Identifier: Apache-2.0
// Reading rows of logits, 16 at a time, as the request wants them.
#pragma once

#include <cuda_bf16.h>

#include "cuda/sampling/sampling.h"

namespace mhub::kernels::cuda {

constexpr int kBatchOf = 16;  // elements that a thread reads at once

// The whole row's numbers, of one thread block's chunk of it.
struct ChunkFacts {
  float top;      // greatest adjusted logit
  int top_token;  // the lowest that has it
  int bad;        // some logit is NaN or +infinity
  float raw_top;  // of the logits as they came
  float raw_sum;  // of exp(raw - raw_top)
  float sum;      // of exp((adjusted - top) / temperature)
  double score;   // of the race without filters, weights relative to top
  int runner;
  int reserved;
};

template <typename T>
struct RowReader {
  const T* logits;
  int vocab;
  bool aligned;
  const uint16_t* seen;  // null without penalties
  const float* bias;
  float repetition, frequency, presence;

  __device__ RowReader(const SampleBatch& batch, const SampleRow& row, int index)
      : logits(static_cast<const T*>(batch.logits) + index * batch.logits_stride),
        vocab(batch.vocab),
        aligned(reinterpret_cast<uintptr_t>(logits) % 16 == 0),
        seen(row.seen_slot >= 0 ? batch.seen + static_cast<int64_t>(row.seen_slot) * batch.vocab : nullptr),
        bias(row.bias_slot >= 0 ? batch.bias + static_cast<int64_t>(row.bias_slot) * batch.vocab : nullptr),
        repetition(row.repetition_penalty),
        frequency(row.frequency_penalty),
        presence(row.presence_penalty) {}

  static constexpr int kPerVector = 16 / static_cast<int>(sizeof(T));
  // Token of element i of a thread's batch; kThreads threads read kThreads * 16 neighbours together.
  template <int kThreads>
  __device__ static int token_of(int first, int i) {
    return first + (i / kPerVector * kThreads + static_cast<int>(threadIdx.x)) * kPerVector + i % kPerVector;
  }
  __device__ static float to_float(float x) { return x; }
  __device__ static float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

  // -infinity past the end.
  template <int kThreads>
  __device__ void read(int first, float (&out)[kBatchOf]) const {
#pragma unroll
    for (int v = 0; v < kBatchOf / kPerVector; ++v) {
      const int token = token_of<kThreads>(first, v * kPerVector);
      if (aligned && token + kPerVector <= vocab) {
        const uint4 bits = __ldg(reinterpret_cast<const uint4*>(logits + token));
        const T* values = reinterpret_cast<const T*>(&bits);
#pragma unroll
        for (int i = 0; i < kPerVector; ++i) out[v * kPerVector + i] = to_float(values[i]);
      } else {
#pragma unroll
        for (int i = 0; i < kPerVector; ++i)
          out[v * kPerVector + i] = token + i < vocab ? to_float(logits[token + i]) : -INFINITY;
      }
    }
  }
  __device__ bool adjusts() const {
    return seen != nullptr || bias != nullptr;
  }
  // The host's order: bias, repetition, frequency, presence.
  __device__ float adjust(float logit, int token) const {
    if (token >= vocab) return logit;
    if (bias != nullptr) logit += bias[token];
    if (seen != nullptr) {
      const uint16_t facts = seen[token];
      if (facts != 0) {
        const int times = facts & ~kSeenInPrompt;
        logit = logit > 0 ? logit / repetition : logit * repetition;
        logit -= frequency * static_cast<float>(times);
        if (times > 0) logit -= presence;
      }
    }
    return logit;
  }
  template <int kThreads>
  __device__ void read_adjusted(int first, float (&out)[kBatchOf]) const {
    read<kThreads>(first, out);
    if (!adjusts()) return;
#pragma unroll
    for (int i = 0; i < kBatchOf; ++i) out[i] = adjust(out[i], token_of<kThreads>(first, i));
  }
};

__device__ inline bool is_greedy(const SampleRow& row) {
  return row.temperature < 1e-5f;
}
__device__ inline bool has_filter(const SampleRow& row, int vocab) {
  return (row.top_k > 0 && row.top_k < vocab) || row.top_p < 1.0f || row.min_p > 0.0f;
}
// exp((logit - top) / temperature); scale = log2(e) / temperature.
__device__ inline float weight_of(float logit, float top, float scale) {
  return exp2f((logit - top) * scale);
}
constexpr float kLog2E = 1.4426950408889634f;

}  // namespace mhub::kernels::cuda
