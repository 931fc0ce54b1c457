// SPDX-License-Identifier: Apache-2.0
// First pass: every chunk of 4,096 logits of every row by a thread block of its own.
#pragma once

#include "cuda/sampling/logits.cuh"
#include "cuda/sampling/race.cuh"

namespace mhub::kernels::cuda {

constexpr int kScanThreads = 256;
constexpr int kChunk = kScanThreads * kBatchOf;
constexpr int kGroupsPerChunk = kScanThreads / 8;  // of 128 logits; their maxima bound the k-th greatest from below

struct SampleWorkspace {
  ChunkFacts* chunks;  // [rows, num_chunks]
  float* group_tops;   // [rows, num_chunks * kGroupsPerChunk]
  int num_chunks;
};

struct TopToken {
  float value;
  int token;
};
__device__ inline TopToken better(TopToken a, TopToken b) {
  return b.value > a.value || (b.value == a.value && b.token < a.token) ? b : a;
}

// Over all threads of the block, known to all. `shared` has a place per warp and is free again afterwards.
template <int kThreads>
__device__ float block_max(float own, float* shared) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) own = fmaxf(own, __shfl_xor_sync(~0u, own, step));
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = own;
  __syncthreads();
  float result = shared[0];
  for (int w = 1; w < kThreads / 32; ++w) result = fmaxf(result, shared[w]);
  __syncthreads();
  return result;
}
__device__ inline Runner warp_winner(Runner own) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2)
    own = better(own, Runner{__shfl_xor_sync(~0u, own.score, step), __shfl_xor_sync(~0u, own.token, step)});
  return own;
}
template <int kThreads>
__device__ Runner block_winner(Runner own, Runner* shared) {
  own = warp_winner(own);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = own;
  __syncthreads();
  Runner result = shared[0];
  for (int w = 1; w < kThreads / 32; ++w) result = better(result, shared[w]);
  __syncthreads();
  return result;
}
template <typename Number>
__device__ Number warp_sum(Number own) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) own += __shfl_xor_sync(~0u, own, step);
  return own;
}
template <int kThreads, typename Number>
__device__ Number block_sum(Number own, Number* shared) {
  own = warp_sum(own);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = own;
  __syncthreads();
  Number result = shared[0];
  for (int w = 1; w < kThreads / 32; ++w) result += shared[w];
  __syncthreads();
  return result;
}

template <typename T>
__global__ void __launch_bounds__(kScanThreads)
    scan_kernel(const __grid_constant__ SampleBatch batch, const SampleWorkspace workspace) {
  __shared__ int lowest_token;
  __shared__ float sums[kScanThreads / 32];
  __shared__ Runner runners[kScanThreads / 32];
  const int chunk = blockIdx.x, index = blockIdx.y, first = chunk * kChunk;
  const SampleRow row = batch.rows[index];
  const RowReader<T> reader(batch, row, index);
  float x[kBatchOf];
  reader.template read<kScanThreads>(first, x);

  ChunkFacts facts{};
  const auto greatest = [&] {
    float own = x[0];
#pragma unroll
    for (int i = 1; i < kBatchOf; ++i) own = fmaxf(own, x[i]);
    return own;
  };
  // The greatest of the chunk and the lowest token that has it.
  const auto top_of = [&](float own) {
    TopToken top{block_max<kScanThreads>(own, sums), 0};
    if (own == top.value) {
      int lowest = 0x7fffffff;
#pragma unroll
      for (int i = 0; i < kBatchOf; ++i) {
        if (x[i] == own) lowest = min(lowest, RowReader<T>::template token_of<kScanThreads>(first, i));
      }
      atomicMin(&lowest_token, lowest);
    }
    __syncthreads();
    top.token = lowest_token;
    return top;
  };
  if (threadIdx.x == 0) lowest_token = 0x7fffffff;
  int bad = 0;
#pragma unroll
  for (int i = 0; i < kBatchOf; ++i) bad |= x[i] < INFINITY ? 0 : 1;
  facts.bad = __syncthreads_or(bad);
  float own = greatest();
  TopToken top = top_of(own);
  if (batch.logprobs != nullptr) {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kBatchOf; ++i) sum += x[i] == -INFINITY ? 0.0f : weight_of(x[i], top.value, kLog2E);
    facts.raw_top = top.value;
    facts.raw_sum = block_sum<kScanThreads>(sum, sums);
  }
  if (reader.adjusts()) {
#pragma unroll
    for (int i = 0; i < kBatchOf; ++i)
      x[i] = reader.adjust(x[i], RowReader<T>::template token_of<kScanThreads>(first, i));
    __syncthreads();
    if (threadIdx.x == 0) lowest_token = 0x7fffffff;
    own = greatest();
    top = top_of(own);
  }
  facts.top = top.value;
  facts.top_token = top.token;
  facts.runner = 0x7fffffff;

  if (!is_greedy(row) && top.value > -INFINITY) {
    const bool filter = has_filter(row, batch.vocab);
    const float scale = kLog2E / row.temperature;
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kBatchOf; ++i) {
      x[i] = weight_of(x[i], top.value, scale);
      sum += x[i];
    }
    if (filter) {
      facts.sum = block_sum<kScanThreads>(sum, sums);
      float group = own;
#pragma unroll
      for (int step = 4; step > 0; step /= 2) group = fmaxf(group, __shfl_xor_sync(~0u, group, step));
      if (threadIdx.x % 8 == 0) {
        workspace.group_tops[(static_cast<int64_t>(index) * workspace.num_chunks + chunk) * kGroupsPerChunk +
                             threadIdx.x / 8] = group;
      }
    } else {
      RoughBest best;
#pragma unroll
      for (int i = 0; i < kBatchOf; ++i) {
        const int token = RowReader<T>::template token_of<kScanThreads>(first, i);
        best.meet(rough_score(x[i], race_bits(row.race_key, token)), x[i], token);
      }
      const float bound = block_max<kScanThreads>(best.score[0], sums) * kRoughMargin;
      Runner runner = best.exact(row.race_key, bound);
      runner = block_winner<kScanThreads>(runner, runners);
      facts.score = runner.score;
      facts.runner = runner.token;
    }
  } else if (!is_greedy(row) && threadIdx.x < kGroupsPerChunk) {
    workspace.group_tops[(static_cast<int64_t>(index) * workspace.num_chunks + chunk) * kGroupsPerChunk + threadIdx.x] =
        -INFINITY;
  }
  if (threadIdx.x == 0) workspace.chunks[static_cast<int64_t>(index) * workspace.num_chunks + chunk] = facts;
}

}  // namespace mhub::kernels::cuda
