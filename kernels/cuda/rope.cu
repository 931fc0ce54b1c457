// SPDX-License-Identifier: Apache-2.0
#include "cuda/rope.h"

#include "cuda/element.cuh"
#include "cuda/launch.cuh"

namespace mhub::kernels::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kHeldAngles = 4;  // per lane, so that heads of up to 256 have all of theirs early

struct Args {
  void* q;
  const void* k;
  const void* v;
  void* cache;  // of the layer
  const int32_t* positions;
  const int32_t* slots;
  const float* cos_sin;
  int64_t q_stride, k_stride, v_stride, block_elements, tokens;
  int heads, kv_heads, dim, rotary_dim, block_size, planes;
};

// A warp per head of a token: query heads, then key heads, then value heads.
template <class T, bool kInterleaved>
__global__ void __launch_bounds__(kWarps * 32) rope_kernel(Args a) {
  const int per_token = a.heads + a.planes;
  const int64_t item = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  const int64_t token = item / per_token;
  const int head = static_cast<int>(item % per_token);
  const bool exists = token < a.tokens;

  // What no kernel of the step writes is read before the wait.
  const int32_t slot = exists && head >= a.heads ? a.slots[token] : 0;
  const bool rotate = exists && head < a.heads + a.kv_heads;
  const int half = rotate ? a.rotary_dim / 2 : 0;
  const float* cos_sin = a.cos_sin + static_cast<int64_t>(rotate ? a.positions[token] : 0) * a.rotary_dim;
  float cosines[kHeldAngles], sines[kHeldAngles];
#pragma unroll
  for (int j = 0; j < kHeldAngles; ++j) {
    const int i = lane + 32 * j;
    cosines[j] = i < half ? cos_sin[i] : 0.0f;
    sines[j] = i < half ? cos_sin[half + i] : 0.0f;
  }
  wait_for_predecessor();
  if (!exists || slot < 0) return;

  const T* from;
  T* to;
  if (head < a.heads) {
    to = static_cast<T*>(a.q) + token * a.q_stride + static_cast<int64_t>(head) * a.dim;
    from = to;
  } else {
    const int plane = head - a.heads;  // counts on from keys to values, as the planes of a block do
    from = rotate ? static_cast<const T*>(a.k) + token * a.k_stride + static_cast<int64_t>(plane) * a.dim
                  : static_cast<const T*>(a.v) + token * a.v_stride + static_cast<int64_t>(plane - a.kv_heads) * a.dim;
    to = static_cast<T*>(a.cache) + (slot / a.block_size) * a.block_elements +
         (static_cast<int64_t>(plane) * a.block_size + slot % a.block_size) * a.dim;
  }
  const auto turn = [&](int i, float c, float s) {
    const int first = kInterleaved ? 2 * i : i, second = kInterleaved ? 2 * i + 1 : i + half;
    const float x = to_float(from[first]), y = to_float(from[second]);
    to[first] = from_float<T>(x * c - y * s);
    to[second] = from_float<T>(y * c + x * s);
  };
#pragma unroll
  for (int j = 0; j < kHeldAngles; ++j) {
    if (lane + 32 * j < half) turn(lane + 32 * j, cosines[j], sines[j]);
  }
  for (int i = lane + 32 * kHeldAngles; i < half; i += 32) turn(i, cos_sin[i], cos_sin[half + i]);
  if (from == to) return;
  for (int i = 2 * half + lane; i < a.dim; i += 32) to[i] = from[i];
}

}  // namespace

void rope_and_write_kv(const RopeArgs& args, const CudaKvCache& cache, int64_t layer, cudaStream_t stream) {
  const KvShape& shape = cache.shape();
  const int64_t dim = shape.head_dim, tokens = args.q.rows;
  constexpr const char* kName = "rope_and_write_kv";
  const bool latent = shape.latent_dim > 0;
  require(args.k.cols == shape.num_kv_heads * dim && (latent || args.v.cols == args.k.cols) && args.q.cols % dim == 0,
          kName, {tokens, args.q.cols, args.k.cols}, "heads do not fit the KV cache");
  require(args.k.rows == tokens && (latent || args.v.rows == tokens), kName, {tokens, args.k.rows, args.v.rows},
          "rows differ");
  require(args.q.dtype == cache.dtype() && args.k.dtype == cache.dtype() && (latent || args.v.dtype == cache.dtype()),
          kName, {tokens, args.q.cols}, "the KV cache has another type");
  require(args.rotary_dim % 2 == 0 && args.rotary_dim <= dim && layer >= 0 && layer < shape.layers, kName,
          {args.rotary_dim, layer}, "bad rotary_dim or layer");
  if (tokens == 0) return;
  const Args a{args.q.data,
               args.k.data,
               args.v.data,
               cache.layer(layer),
               args.positions,
               args.slots,
               args.cos_sin,
               args.q.stride,
               args.k.stride,
               args.v.stride,
               cache.block_elements(),
               tokens,
               static_cast<int>(args.q.cols / dim),
               static_cast<int>(shape.num_kv_heads),
               static_cast<int>(dim),
               static_cast<int>(args.rotary_dim),
               static_cast<int>(shape.block_size),
               static_cast<int>((latent ? 1 : 2) * shape.num_kv_heads)};
  const int64_t items = tokens * (a.heads + a.planes);
  const auto grid = static_cast<unsigned>((items + kWarps - 1) / kWarps);
  for_element(cache.dtype(), kName, [&](auto tag) {
    using T = typename decltype(tag)::type;
    auto* kernel = args.style == RopeStyle::kInterleaved ? rope_kernel<T, true> : rope_kernel<T, false>;
    launch_overlapped(kernel, grid, kWarps * 32, stream, a);
  });
  check_launch(kName, {tokens, args.q.cols, args.k.cols});
}

}  // namespace mhub::kernels::cuda
