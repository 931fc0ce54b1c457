// SPDX-License-Identifier: Apache-2.0
#include "cuda/plain_attention.h"

#include <algorithm>
#include <limits>

#include "cuda/element.cuh"

namespace mhub::kernels::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kMaxHeadDim = 576;  // of a latent cache
constexpr int kPerLane = kMaxHeadDim / 32;

struct Args {
  void* out;
  const void* q;
  const void* cache;  // of the layer
  const int32_t* cu_seqlens_q;
  const int32_t* seq_lens;
  const int32_t* block_tables;
  int64_t out_stride, q_stride, table_stride, block_elements;
  int64_t value_offset;  // elements from a key to its value
  int sequences, group, dim, value_dim, block_size;
  int window;  // 0 = none
  float scale, soft_cap;
  const float* sinks;
};

// A block per query head of a token; its warps take the keys in turn, each with its own running softmax.
template <class T>
__global__ void __launch_bounds__(kWarps * 32) attend(Args a) {
  const int64_t row = blockIdx.x;
  const int head = blockIdx.y, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int low = 0, high = a.sequences;  // the sequence of this row
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (a.cu_seqlens_q[middle] <= row)
      low = middle;
    else
      high = middle;
  }
  const int after = a.cu_seqlens_q[low + 1] - 1 - static_cast<int>(row);  // rows of the sequence behind this one
  const int context = max(0, a.seq_lens[low] - after);
  const int32_t* table = a.block_tables + low * a.table_stride;
  const T* q = static_cast<const T*>(a.q) + row * a.q_stride + static_cast<int64_t>(head) * a.dim;
  const int64_t plane = static_cast<int64_t>(a.block_size) * a.dim;
  const T* keys = static_cast<const T*>(a.cache) + (head / a.group) * plane;
  const T* values = keys + a.value_offset;

  float query[kPerLane], sum[kPerLane];
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) {
    query[i] = lane + 32 * i < a.dim ? to_float(q[lane + 32 * i]) * a.scale : 0.0f;
    sum[i] = 0.0f;
  }
  float top = -INFINITY, total = 0.0f;
  const int oldest = a.window > 0 ? max(0, context - a.window) : 0;
  for (int token = oldest + warp; token < context; token += kWarps) {
    const int64_t at = table[token / a.block_size] * a.block_elements + (token % a.block_size) * a.dim;
    float score = 0.0f;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      if (lane + 32 * i < a.dim) score += query[i] * to_float(keys[at + lane + 32 * i]);
    }
    for (int offset = 16; offset > 0; offset /= 2) score += __shfl_xor_sync(0xffffffff, score, offset);
    if (a.soft_cap > 0.0f) score = a.soft_cap * tanhf(score / a.soft_cap);
    const float higher = fmaxf(top, score);
    const float shrink = __expf(top - higher), weight = __expf(score - higher);
    top = higher;
    total = total * shrink + weight;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      if (lane + 32 * i < a.value_dim) sum[i] = sum[i] * shrink + weight * to_float(values[at + lane + 32 * i]);
    }
  }

  __shared__ float tops[kWarps], totals[kWarps], sums[kWarps][kMaxHeadDim];
  if (lane == 0) tops[warp] = top, totals[warp] = total;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) {
    if (lane + 32 * i < a.value_dim) sums[warp][lane + 32 * i] = sum[i];
  }
  __syncthreads();
  float highest = -INFINITY, all = 0.0f;
  for (int w = 0; w < kWarps; ++w) highest = fmaxf(highest, tops[w]);
  if (a.sinks != nullptr && context > 0) {
    highest = fmaxf(highest, a.sinks[head]);
    all = __expf(a.sinks[head] - highest);
  }
  for (int w = 0; w < kWarps; ++w) all += tops[w] == -INFINITY ? 0.0f : totals[w] * __expf(tops[w] - highest);
  T* out = static_cast<T*>(a.out) + row * a.out_stride + static_cast<int64_t>(head) * a.value_dim;
  for (int c = threadIdx.x; c < a.value_dim; c += blockDim.x) {
    float value = 0.0f;
    for (int w = 0; w < kWarps; ++w) value += tops[w] == -INFINITY ? 0.0f : sums[w][c] * __expf(tops[w] - highest);
    out[c] = from_float<T>(all > 0.0f ? value / all : 0.0f);
  }
}

}  // namespace

void plain_attention(TensorView out, TensorView q, const DeviceAttention& metadata, const AttentionOptions& options,
                     const CudaKvCache& cache, int64_t layer, cudaStream_t stream) {
  const KvShape& shape = cache.shape();
  if (q.rows == 0 || q.cols == 0) return;
  require(shape.head_dim <= kMaxHeadDim, "paged_attention", {shape.head_dim}, "heads of at most 576 are supported");
  const auto heads = static_cast<int>(q.cols / shape.head_dim);
  const bool latent = shape.latent_dim > 0;
  Args a{};
  a.out = out.data;
  a.q = q.data;
  a.cache = cache.layer(layer);
  a.cu_seqlens_q = metadata.cu_seqlens_q;
  a.seq_lens = metadata.seq_lens;
  a.block_tables = metadata.block_tables;
  a.out_stride = out.stride;
  a.q_stride = q.stride;
  a.table_stride = metadata.table_stride;
  a.block_elements = cache.block_elements();
  a.value_offset = latent ? shape.head_dim - shape.latent_dim : shape.num_kv_heads * shape.block_size * shape.head_dim;
  a.sequences = static_cast<int>(metadata.sequences);
  a.group = heads / static_cast<int>(shape.num_kv_heads);
  a.dim = static_cast<int>(shape.head_dim);
  a.value_dim = static_cast<int>(shape.value_dim());
  a.block_size = static_cast<int>(shape.block_size);
  a.window = static_cast<int>(std::min<int64_t>(options.window, std::numeric_limits<int>::max()));
  a.scale = options.scale;
  a.soft_cap = options.soft_cap;
  a.sinks = options.sinks;
  for_element(q.dtype, "paged_attention", [&](auto tag) {
    using T = typename decltype(tag)::type;
    attend<T><<<dim3(static_cast<unsigned>(q.rows), static_cast<unsigned>(heads)), kWarps * 32, 0, stream>>>(a);
  });
  check_launch("paged_attention", {q.rows, q.cols, metadata.sequences});
}

}  // namespace mhub::kernels::cuda
