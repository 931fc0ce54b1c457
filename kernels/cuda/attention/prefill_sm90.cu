// SPDX-License-Identifier: Apache-2.0
// Prefill on Hopper for head_dim 128: two warpgroups multiply 64 packed query rows each, a third copies 128 tokens of
// keys or values at a time from the pages into a ring of four. One warpgroup's softmax runs during the other's
// products.
#include "cuda/attention/launch.cuh"
#include "cuda/attention/prefill_work.cuh"
#include "cuda/attention/softmax.cuh"
#include "cuda/attention/warpgroup.cuh"

namespace mhub::kernels::cuda {
namespace {

constexpr int kWideThreads = 3 * 128;
constexpr int kWideTokens = 128;                  // of one iteration
constexpr int kWideTile = kWideTokens * 128 * 2;  // bytes of keys, values or queries; two blocks of 64 columns
[[maybe_unused]] constexpr int kWideBlock = kWideTile / 2;
constexpr int kWideSlots = 4;  // keys, values, keys, values
constexpr size_t kWideBytes = static_cast<size_t>(1 + kWideSlots) * kWideTile + 1024 + 128;

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
// Where 16 bytes of a row lie: rows of 128 bytes, their eight pieces exchanged by row.
__device__ inline uint32_t wide_offset(int row, int piece) {
  return piece / 8 * kWideBlock + row * 128 + ((piece % 8) ^ (row % 8)) * 16;
}

struct WideRing {
  uint32_t tiles, barriers;
  __device__ uint32_t tile(int item) const { return tiles + item % kWideSlots * kWideTile; }
  __device__ uint32_t full(int item) const { return barriers + item % kWideSlots * 8; }
  __device__ uint32_t empty(int item) const { return barriers + (kWideSlots + item % kWideSlots) * 8; }
  __device__ static int parity(int item) { return item / kWideSlots % 2; }
};

// The copying warpgroup: item 2 i is the keys of the i-th 128 tokens, item 2 i + 1 their values.
template <typename T>
__device__ void copy_wide(const AttentionParams& p, const PrefillWork& work, const WideRing& ring, int first,
                          int items) {
  const int thread = threadIdx.x % 128;
  const auto look_up = [&](int token) -> int64_t {  // lane i < 8: where the 16 tokens from token + 16 i lie
    const int own = token + thread % 8 * 16;
    if (own >= work.end || own + 16 <= work.begin) return 0;
    const int64_t block = p.block_tables[static_cast<int64_t>(work.seq) * p.max_blocks + (own >> p.block_shift)];
    const int in_block = own & ((1 << p.block_shift) - 1);
    return block * p.kv_block_stride + ((work.head << p.block_shift) + in_block) * static_cast<int64_t>(128);
  };
  int64_t offset = look_up(first), next_offset = 0;
  for (int item = 0; item < items; ++item) {
    const int token = first + item / 2 * kWideTokens;
    if (item % 2 == 0) {
      if (item > 0) offset = next_offset;
      next_offset = look_up(token + kWideTokens);
    }
    if (item >= kWideSlots) barrier_wait(ring.empty(item), WideRing::parity(item) ^ 1);
    const T* base = static_cast<const T*>(p.kv) + (item % 2 == 0 ? 0 : p.kv_value_offset);
    const uint32_t to = ring.tile(item);
#pragma unroll
    for (int i = 0; i < kWideTokens / 8; ++i) {
      const int row = i * 8 + thread / 16, piece = thread % 16;
      const int64_t from = __shfl_sync(~0u, offset, i / 2) + row % 16 * 128 + piece * 8;
      copy_async(to + wide_offset(row, piece), base + from, token + row >= work.begin && token + row < work.end);
    }
    copy_async_commit();
    if (item >= 2) {
      copy_async_wait<2>();
      publish_to_products();
      barrier_arrive(ring.full(item - 2));
    }
  }
  copy_async_wait<0>();
  publish_to_products();
  for (int item = max(items - 2, 0); item < items; ++item) barrier_arrive(ring.full(item));
}

// One warpgroup's 64 rows; the layout of sums and scores is that of m16n8k16 products, eight columns after the other.
template <typename T>
struct WideRows {
  float sums[64], scores[64];
  float maximum[2] = {kNothing, kNothing}, total[2] = {0.0f, 0.0f};

  __device__ static int row_of(int r) {
    return static_cast<int>(threadIdx.x) / 32 * 16 + static_cast<int>(threadIdx.x) % 32 / 4 + 8 * r;
  }

  __device__ void multiply_keys(uint32_t queries, uint32_t keys) {
    warpgroup_begin();
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      const uint32_t at = k / 4 * kWideBlock + k % 4 * 32;
      warpgroup_multiply_rows<T>(scores, operand(queries + at, 1024, 16), operand(keys + at, 1024, 16), k);
    }
    warpgroup_commit();
  }
  __device__ void mask(const AttentionParams& p, const PrefillWork& work, int window, int token) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int position = work.position(p, row_of(r));
      const int first = window > 0 ? position + 1 - window : 0;
#pragma unroll
      for (int j = 0; j < 16; ++j) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int key = token + j * 8 + static_cast<int>(threadIdx.x) % 4 * 2 + i;
          if (key > position || key < first) scores[4 * j + 2 * r + i] = kNothing;
        }
      }
    }
  }
  __device__ void soften(float scale) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float top = kNothing;
#pragma unroll
      for (int j = 0; j < 16; ++j) top = fmaxf(top, fmaxf(scores[4 * j + 2 * r], scores[4 * j + 2 * r + 1]));
      const float next = fmaxf(maximum[r], quad_max(top) * scale);
      const float shift = next == kNothing ? 0.0f : next;
      const float factor = decay(maximum[r], shift);
      maximum[r] = next;
      float sum = 0.0f;
#pragma unroll
      for (int j = 0; j < 16; ++j) {
#pragma unroll
        for (int i = 4 * j + 2 * r; i < 4 * j + 2 * r + 2; ++i) {
          scores[i] = exp2_approx(fmaf(scores[i], scale, -shift));
          sum += scores[i];
        }
      }
      total[r] = total[r] * factor + sum;
#pragma unroll
      for (int j = 0; j < 16; ++j) {
        sums[4 * j + 2 * r] *= factor;
        sums[4 * j + 2 * r + 1] *= factor;
      }
    }
  }
  __device__ void pack_weights(Matrices (&weights)[8]) const {
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      const float* s = scores + 8 * k;
      weights[k] = {{pack<T>(s[0], s[1]), pack<T>(s[2], s[3]), pack<T>(s[4], s[5]), pack<T>(s[6], s[7])}};
    }
  }
  __device__ void multiply_values(const Matrices (&weights)[8], uint32_t values) {
    warpgroup_begin();
#pragma unroll
    for (int k = 0; k < 8; ++k)
      warpgroup_multiply_columns<T>(sums, weights[k], operand(values + k * 2048, 1024, kWideBlock));
    warpgroup_commit();
  }
  // Through this warp's own query rows in shared memory.
  __device__ void write(const AttentionParams& p, const PrefillWork& work, char* queries) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int row = row_of(r), q_head = work.head * p.group + (work.first_row + row) % p.group;
      const float n = normalizer(p, q_head, maximum[r], quad_sum(total[r]));
#pragma unroll
      for (int j = 0; j < 16; ++j)
        *reinterpret_cast<uint32_t*>(queries + wide_offset(row, j) + lane % 4 * 4) =
            pack<T>(sums[4 * j + 2 * r] * n, sums[4 * j + 2 * r + 1] * n);
    }
    __syncwarp();
    for (int i = lane; i < 16 * 16; i += 32) {
      const int row = warp * 16 + i / 16, packed = work.first_row + row;
      if (row >= work.num_rows) continue;
      T* to = static_cast<T*>(p.out) + (work.q_begin + packed / p.group) * p.out_stride +
              static_cast<int64_t>(work.head * p.group + packed % p.group) * 128 + i % 16 * 8;
      *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(queries + wide_offset(row, i % 16));
    }
  }
};

template <typename T>
__device__ void multiply_wide(const AttentionParams& p, const PrefillWork& work, const WideRing& ring, int window,
                              int first, int items, uint32_t queries, char* query_bytes) {
  WideRows<T> rows;
#pragma unroll
  for (float& sum : rows.sums) sum = 0.0f;
  const uint32_t own_queries = queries + threadIdx.x / 128 * 64 * 128;
  const int oldest = work.oldest(p), newest = work.newest(p);
  const auto release = [&](int item) {
    if (threadIdx.x % 32 == 0) barrier_arrive(ring.empty(item));
  };
  for (int item = 0; item < items; item += 2) {
    const int token = first + item / 2 * kWideTokens;
    barrier_wait(ring.full(item), WideRing::parity(item));
    rows.multiply_keys(own_queries, ring.tile(item));
    warpgroup_wait<0>();
    pin(rows.scores);
    release(item);
    float scale = p.scale_log2;
    if (p.cap_log2 != 0.0f) {
      scale = 1.0f;
#pragma unroll
      for (float& score : rows.scores) score = to_score(p, score);
    }
    if (token + kWideTokens > oldest + 1 || (window > 0 && token <= newest - window)) rows.mask(p, work, window, token);
    rows.soften(scale);
    Matrices weights[8];
    rows.pack_weights(weights);
    barrier_wait(ring.full(item + 1), WideRing::parity(item + 1));
    rows.multiply_values(weights, ring.tile(item + 1));
    warpgroup_wait<0>();
    pin(rows.sums);
    release(item + 1);
  }
  rows.write(p, work, query_bytes);
}
#endif

template <typename T>
__global__ void __launch_bounds__(kWideThreads, 1) prefill_wide_kernel(const __grid_constant__ AttentionParams p) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ char shared[];
  const int item = blockIdx.x / p.num_kv_heads;
  const PlanHeader plan = *p.plan.header;
  wait_for_previous_kernel();
  let_next_kernel_start();
  if (item >= plan.prefill_tiles) return;
  const PrefillWork work(p, plan.window, p.plan.prefill_tile[item], blockIdx.x % p.num_kv_heads, kPrefillRows);

  char* aligned = shared + (1024 - shared_address(shared) % 1024) % 1024;
  const uint32_t queries = shared_address(aligned);
  const WideRing ring{queries + kWideTile, queries + (1 + kWideSlots) * kWideTile};
  for (int i = threadIdx.x; i < kPrefillRows * 16; i += kWideThreads) {
    const int row = i / 16, packed = work.first_row + min(row, work.num_rows - 1);
    const T* from = static_cast<const T*>(p.q) + (work.q_begin + packed / p.group) * p.q_stride +
                    static_cast<int64_t>(work.head * p.group + packed % p.group) * 128 + i % 16 * 8;
    copy_async(queries + wide_offset(row, i % 16), from, row < work.num_rows);
  }
  copy_async_commit();
  if (threadIdx.x == 0) {
    for (int i = 0; i < kWideSlots; ++i) {
      barrier_init(ring.full(i), 128);
      barrier_init(ring.empty(i), 8);
    }
  }
  copy_async_wait<0>();
  publish_to_products();
  __syncthreads();
  const int first = work.begin / kWideTokens * kWideTokens;
  const int items = (work.end - first + kWideTokens - 1) / kWideTokens * 2;
  if (threadIdx.x >= 256)
    copy_wide<T>(p, work, ring, first, items);
  else
    multiply_wide<T>(p, work, ring, plan.window, first, items, queries, aligned);
#endif
}

template <typename T>
cudaError_t prepare_type(AttentionSetup* setup) {
  cudaFuncAttributes attributes{};
  cudaError_t error = cudaFuncGetAttributes(&attributes, prefill_wide_kernel<T>);
  // A build without sm_90a holds an empty kernel for this device.
  if (error != cudaSuccess || attributes.binaryVersion != 90 || attributes.numRegs < 64) return error;
  error = cudaFuncSetAttribute(prefill_wide_kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(kWideBytes));
  setup->wide_prefill = error == cudaSuccess;
  return error;
}

}  // namespace

cudaError_t prepare_wide_prefill(AttentionSetup* setup) {
  setup->wide_prefill = false;
  if (setup->compute_major != 9) return cudaSuccess;
  return setup->shape.type == AttentionType::kFloat16 ? prepare_type<__half>(setup)
                                                      : prepare_type<__nv_bfloat16>(setup);
}

cudaError_t wide_prefill(const AttentionSetup& setup, const AttentionParams& params, int tiles, bool overlap,
                         cudaStream_t stream) {
  const auto kernel =
      setup.shape.type == AttentionType::kFloat16 ? prefill_wide_kernel<__half> : prefill_wide_kernel<__nv_bfloat16>;
  return launch(kernel, tiles * setup.shape.num_kv_heads, kWideThreads, kWideBytes, overlap, stream, params);
}

}  // namespace mhub::kernels::cuda
