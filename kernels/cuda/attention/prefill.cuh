// SPDX-License-Identifier: Apache-2.0
// Prefill: tiles of packed query rows of one sequence and kv head against its paged keys and values, causal.
//
// Row r of a sequence and kv head is query token r / group, head r % group. Four warps own 32 rows each (16 for
// head_dim 256). Keys of the next 64 tokens arrive during the product with the values, and values during the one with
// the keys. A row's answer depends on nothing but its own sequence: fully masked tiles change no bit.
#pragma once

#include "cuda/attention/prefill_work.cuh"
#include "cuda/attention/softmax.cuh"
#include "cuda/attention/tensor_core.cuh"

namespace mhub::kernels::cuda {

constexpr int kPrefillThreads = 128;
constexpr int kPrefillTokens = 64;  // keys of one iteration

template <int D>
struct PrefillLayout {
  static constexpr int kRow = D + 8;
  static constexpr int kRows = prefill_rows(D);
  static constexpr int kRowTiles = kRows / 64;  // 16-row tiles of a warp
  static constexpr size_t kQueryBytes = static_cast<size_t>(kRows) * kRow * 2;
  static constexpr size_t kTileBytes = static_cast<size_t>(kPrefillTokens) * kRow * 2;
  static constexpr size_t kBytes = kQueryBytes + 2 * kTileBytes;
};

// Copies 64 tokens of keys or values from pages.
template <typename T, int D>
class PrefillLoader {
  using Layout = PrefillLayout<D>;

 public:
  __device__ PrefillLoader(const AttentionParams& p, const PrefillWork& work) : p_(p), work_(work) {}
  // Lane i < 4 learns where the 16 tokens from token + 16 i lie.
  __device__ void look_up(int token) {
    const int own = token + threadIdx.x % 4 * 16;
    offset_ = 0;
    if (own < work_.end && own + 16 > work_.begin) {
      const int64_t block = p_.block_tables[static_cast<int64_t>(work_.seq) * p_.max_blocks + (own >> p_.block_shift)];
      const int in_block = own & ((1 << p_.block_shift) - 1);
      offset_ = block * p_.kv_block_stride + ((work_.head << p_.block_shift) + in_block) * static_cast<int64_t>(D);
    }
  }
  // The tokens last looked up; starts at `token`. values: 0 or kv_value_offset.
  __device__ void load(uint32_t to, int token, int64_t values) const {
    constexpr int kChunks = D / 8;
    const T* base = static_cast<const T*>(p_.kv) + values;
#pragma unroll
    for (int i = 0; i < kPrefillTokens * kChunks / kPrefillThreads; ++i) {
      const int chunk = i * kPrefillThreads + threadIdx.x, row = chunk / kChunks;
      const int64_t offset = __shfl_sync(~0u, offset_, row / 16) + (chunk - row / 16 * 16 * kChunks) * 8;
      const bool valid = token + row >= work_.begin && token + row < work_.end;
      copy_async(to + row * (Layout::kRow * 2) + chunk % kChunks * 16, base + offset, valid);
    }
  }
  __device__ void load_queries(uint32_t to) const {
    constexpr int kChunks = D / 8;
    for (int i = threadIdx.x; i < Layout::kRows * kChunks; i += kPrefillThreads) {
      const int row = i / kChunks, packed = work_.first_row + min(row, work_.num_rows - 1);
      const T* from = static_cast<const T*>(p_.q) + (work_.q_begin + packed / p_.group) * p_.q_stride +
                      static_cast<int64_t>(work_.head * p_.group + packed % p_.group) * D + i % kChunks * 8;
      copy_async(to + row * (Layout::kRow * 2) + i % kChunks * 16, from, row < work_.num_rows);
    }
  }

 private:
  const AttentionParams& p_;
  const PrefillWork& work_;
  int64_t offset_ = 0;
};

// A warp's rows: running softmax and weighted sums.
template <typename T, int D>
struct PrefillState {
  using Layout = PrefillLayout<D>;
  static constexpr int kM = Layout::kRowTiles;
  float sums[kM][D / 8][4];
  float scores[kM][kPrefillTokens / 8][4];
  float maximum[kM][2], total[kM][2];

  __device__ void start() {
#pragma unroll
    for (int m = 0; m < kM; ++m) {
      maximum[m][0] = maximum[m][1] = kNothing;
      total[m][0] = total[m][1] = 0.0f;
#pragma unroll
      for (int i = 0; i < D / 8; ++i) sums[m][i][0] = sums[m][i][1] = sums[m][i][2] = sums[m][i][3] = 0.0f;
    }
  }
  __device__ static int row_of(int m, int r) {
    return (threadIdx.x / 32 * kM + m) * 16 + threadIdx.x % 32 / 4 + 8 * r;
  }

  __device__ void multiply_keys(uint32_t queries, uint32_t keys) {
    const int lane = threadIdx.x % 32;
    const uint32_t q_row = queries + (threadIdx.x / 32 * kM * 16 + lane % 16) * (Layout::kRow * 2) + lane / 16 * 16;
    const uint32_t k_row = keys + (lane % 8 + lane / 16 * 8) * (Layout::kRow * 2) + lane / 8 % 2 * 16;
#pragma unroll
    for (int m = 0; m < kM; ++m) {
#pragma unroll
      for (int j = 0; j < kPrefillTokens / 8; ++j)
        scores[m][j][0] = scores[m][j][1] = scores[m][j][2] = scores[m][j][3] = 0.0f;
    }
#pragma unroll
    for (int k = 0; k < D / 16; ++k) {
      Matrices a[kM];
#pragma unroll
      for (int m = 0; m < kM; ++m) a[m] = load_matrices(q_row + m * 16 * (Layout::kRow * 2) + k * 32);
#pragma unroll
      for (int j = 0; j < kPrefillTokens / 16; ++j) {
        const Matrices b = load_matrices(k_row + j * 16 * (Layout::kRow * 2) + k * 32);
#pragma unroll
        for (int m = 0; m < kM; ++m) {
          multiply<T>(scores[m][2 * j], a[m], b.r[0], b.r[1]);
          multiply<T>(scores[m][2 * j + 1], a[m], b.r[2], b.r[3]);
        }
      }
    }
  }

  __device__ void mask(const AttentionParams& p, const PrefillWork& work, int window, int token) {
#pragma unroll
    for (int m = 0; m < kM; ++m) {
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int position = work.position(p, row_of(m, r));
        const int first = window > 0 ? position + 1 - window : 0;
#pragma unroll
        for (int j = 0; j < kPrefillTokens / 8; ++j) {
#pragma unroll
          for (int i = 0; i < 2; ++i) {
            const int key = token + j * 8 + threadIdx.x % 4 * 2 + i;
            if (key > position || key < first) scores[m][j][2 * r + i] = kNothing;
          }
        }
      }
    }
  }

  // Products become weights. scale: 1 when a soft cap was applied, which has the scale in it already.
  __device__ void soften(float scale) {
#pragma unroll
    for (int m = 0; m < kM; ++m) {
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        float top = kNothing;
#pragma unroll
        for (int j = 0; j < kPrefillTokens / 8; ++j)
          top = fmaxf(top, fmaxf(scores[m][j][2 * r], scores[m][j][2 * r + 1]));
        const float next = fmaxf(maximum[m][r], quad_max(top) * scale);
        const float shift = next == kNothing ? 0.0f : next;
        const float factor = decay(maximum[m][r], shift);
        maximum[m][r] = next;
        float sum = 0.0f;
#pragma unroll
        for (int j = 0; j < kPrefillTokens / 8; ++j) {
#pragma unroll
          for (int i = 2 * r; i < 2 * r + 2; ++i) {
            scores[m][j][i] = exp2_approx(fmaf(scores[m][j][i], scale, -shift));
            sum += scores[m][j][i];
          }
        }
        total[m][r] = total[m][r] * factor + sum;
#pragma unroll
        for (int i = 0; i < D / 8; ++i) {
          sums[m][i][2 * r] *= factor;
          sums[m][i][2 * r + 1] *= factor;
        }
      }
    }
  }

  __device__ void multiply_values(uint32_t values) {
    const int lane = threadIdx.x % 32;
    const uint32_t v_row = values + lane % 16 * (Layout::kRow * 2) + lane / 16 * 16;
#pragma unroll
    for (int c = 0; c < kPrefillTokens / 16; ++c) {
      Matrices a[kM];
#pragma unroll
      for (int m = 0; m < kM; ++m) {
        const auto& s = scores[m];
        a[m] = {{pack<T>(s[2 * c][0], s[2 * c][1]), pack<T>(s[2 * c][2], s[2 * c][3]),
                 pack<T>(s[2 * c + 1][0], s[2 * c + 1][1]), pack<T>(s[2 * c + 1][2], s[2 * c + 1][3])}};
      }
#pragma unroll
      for (int i = 0; i < D / 16; ++i) {
        const Matrices b = load_matrices_transposed(v_row + c * 16 * (Layout::kRow * 2) + i * 32);
#pragma unroll
        for (int m = 0; m < kM; ++m) {
          multiply<T>(sums[m][2 * i], a[m], b.r[0], b.r[1]);
          multiply<T>(sums[m][2 * i + 1], a[m], b.r[2], b.r[3]);
        }
      }
    }
  }

  // Through this warp's own query rows in shared memory, so that rows leave in 16-byte pieces.
  __device__ void write(const AttentionParams& p, const PrefillWork& work, char* queries) {
    constexpr int kChunks = D / 8;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (int m = 0; m < kM; ++m) {
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int row = row_of(m, r);
        const int q_head = work.head * p.group + (work.first_row + row) % p.group;
        const float n = normalizer(p, q_head, maximum[m][r], quad_sum(total[m][r]));
#pragma unroll
        for (int i = 0; i < D / 8; ++i)
          *reinterpret_cast<uint32_t*>(queries + row * (Layout::kRow * 2) + i * 16 + lane % 4 * 4) =
              pack<T>(sums[m][i][2 * r] * n, sums[m][i][2 * r + 1] * n);
      }
    }
    __syncwarp();
    for (int i = lane; i < kM * 16 * kChunks; i += 32) {
      const int row = warp * kM * 16 + i / kChunks, packed = work.first_row + row;
      if (row >= work.num_rows) continue;
      T* to = static_cast<T*>(p.out) + (work.q_begin + packed / p.group) * p.out_stride +
              static_cast<int64_t>(work.head * p.group + packed % p.group) * D + i % kChunks * 8;
      *reinterpret_cast<uint4*>(to) =
          *reinterpret_cast<const uint4*>(queries + row * (Layout::kRow * 2) + i % kChunks * 16);
    }
  }
};

template <typename T, int D>
__global__ void __launch_bounds__(kPrefillThreads) prefill_kernel(const __grid_constant__ AttentionParams p) {
  using Layout = PrefillLayout<D>;
  extern __shared__ __align__(128) char shared[];
  const int item = blockIdx.x / p.num_kv_heads;
  const PlanHeader plan = *p.plan.header;
  wait_for_previous_kernel();
  let_next_kernel_start();
  if (item >= plan.prefill_tiles) return;
  const PrefillWork work(p, plan.window, p.plan.prefill_tile[item], blockIdx.x % p.num_kv_heads, Layout::kRows);

  const uint32_t queries = shared_address(shared);
  const uint32_t keys = queries + static_cast<uint32_t>(Layout::kQueryBytes);
  const uint32_t values = keys + static_cast<uint32_t>(Layout::kTileBytes);
  PrefillLoader<T, D> loader(p, work);
  int token = work.begin / kPrefillTokens * kPrefillTokens;
  loader.load_queries(queries);
  loader.look_up(token);
  loader.load(keys, token, 0);
  copy_async_commit();

  PrefillState<T, D> state;
  state.start();
  const int oldest = work.oldest(p), newest = work.newest(p);
  for (; token < work.end; token += kPrefillTokens) {
    copy_async_wait<0>();
    __syncthreads();  // keys are there, and the values before are used up
    loader.load(values, token, p.kv_value_offset);
    copy_async_commit();
    loader.look_up(token + kPrefillTokens);
    state.multiply_keys(queries, keys);
    copy_async_wait<0>();
    __syncthreads();  // values are there, and the keys are used up
    if (token + kPrefillTokens < work.end) loader.load(keys, token + kPrefillTokens, 0);
    copy_async_commit();
    float scale = p.scale_log2;
    if (p.cap_log2 != 0.0f) {
      scale = 1.0f;
#pragma unroll
      for (int m = 0; m < Layout::kRowTiles; ++m) {
#pragma unroll
        for (int j = 0; j < kPrefillTokens / 8; ++j) {
#pragma unroll
          for (int i = 0; i < 4; ++i) state.scores[m][j][i] = to_score(p, state.scores[m][j][i]);
        }
      }
    }
    if (token + kPrefillTokens > oldest + 1 || (plan.window > 0 && token <= newest - plan.window))
      state.mask(p, work, plan.window, token);
    state.soften(scale);
    state.multiply_values(values);
  }
  copy_async_wait<0>();
  state.write(p, work, shared);
}

}  // namespace mhub::kernels::cuda
