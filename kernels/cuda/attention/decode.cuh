// SPDX-License-Identifier: Apache-2.0
// Decode: up to 16 packed query rows of one sequence and kv head against its paged keys and values.
//
// A thread block works off an equal share of all (sequence, head, 64-token stage) triples. Each of its warps takes 16
// tokens of every stage through a ring of its own in shared memory, so that warps never wait for each other inside a
// segment (the stages of one sequence and head), and loads run ahead across segment borders. At a segment's end the
// warps' sums are merged; a segment cut between thread blocks is merged from scratch memory by the last to finish.
#pragma once

#include "cuda/attention/plan.h"
#include "cuda/attention/softmax.cuh"
#include "cuda/attention/tensor_core.cuh"

namespace mhub::kernels::cuda {

constexpr int kDecodeWarps = 4;
constexpr int kDecodeThreads = kDecodeWarps * 32;
constexpr int kTile = 16;  // tokens of one warp's part of a stage; inside one block because blocks hold 16 or more

template <int D>
struct DecodeLayout {
  static constexpr int kRow = D + 8;  // the padding spreads the rows over the banks
  static constexpr int kTileElements = kTile * kRow;
  static constexpr int kMergeRow = D + 8;
  // Ring depth by shared memory: two thread blocks on a processor with 227 KiB, one in 99 KiB.
  template <bool kLarge>
  static constexpr int kSlots = kLarge ? (D == 64   ? 5
                                          : D <= 96 ? 4
                                                    : 3)
                                       : (D <= 96    ? 3
                                          : D == 128 ? 2
                                                     : 1);
  static constexpr int kSlotBytes = kDecodeWarps * 2 * kTileElements * 2;
  template <bool kLarge>
  static constexpr int kBytes = kSlots<kLarge>* kSlotBytes + kDecodeRows* kMergeRow * 4 +
                                (kDecodeWarps + 1) * kDecodeRows * 2 * 4;
};
#if defined(__CUDA_ARCH__) && (__CUDA_ARCH__ < 900 || __CUDA_ARCH__ >= 1200)
constexpr bool kLargeShared = false;
#else
constexpr bool kLargeShared = true;
#endif
constexpr bool has_large_shared(int compute_major) {
  return compute_major >= 9 && compute_major < 12;
}

// A place in a thread block's run of stages.
struct DecodeCursor {
  int seq, head;
  int begin, stage, end;  // of the sequence's stages, counted from its token 0
  int left;               // stages of the thread block from here on
  int len, q_begin, q_len;

  __device__ void enter(const AttentionParams& p, int window, int stage_within) {
    for (;; ++seq) {
      len = p.seq_lens[seq];
      q_begin = p.cu_seqlens_q[seq];
      q_len = p.cu_seqlens_q[seq + 1] - q_begin;
      if (len > 0 && q_len > 0 && q_len * p.group <= kDecodeRows) break;
    }
    const StageRange range = decode_stage_range(len, q_len, window);
    begin = range.begin;
    end = range.end;
    stage = begin + stage_within;
  }
  // To the next stage; true when a segment ended.
  __device__ bool advance(const AttentionParams& p, int window) {
    --left;
    if (++stage < end) return false;
    if (left == 0) return true;
    if (++head < p.num_kv_heads) {
      stage = begin;
    } else {
      head = 0;
      ++seq;
      enter(p, window, 0);
    }
    return true;
  }
  __device__ int first_visible(int window) const { return window > 0 ? max(0, len - q_len + 1 - window) : 0; }
  __device__ bool tile_visible(int token, int window) const {
    return token < len && token + kTile > first_visible(window);
  }
};

// One warp's loads, ahead of its products.
template <typename T, int D>
class DecodeLoader {
  using Layout = DecodeLayout<D>;

 public:
  __device__ DecodeLoader(const AttentionParams& p, int window, const DecodeCursor& start, uint32_t ring)
      : p_(p), window_(window), at_(start), ring_(ring), lane_(threadIdx.x % 32), warp_(threadIdx.x / 32) {
    look_up_blocks();
  }
  // The next tile into a slot of the ring; one commit group, empty at the end.
  __device__ void load(int slot) {
    if (at_.left > 0) {
      const int token = at_.stage * kDecodeStage + warp_ * kTile;
      if (at_.stage - blocks_from_ == 32) look_up_blocks();
      const int block = __shfl_sync(~0u, blocks_, at_.stage - blocks_from_);
      if (at_.tile_visible(token, window_)) copy(slot, token, block);
      if (at_.advance(p_, window_) && at_.left > 0) look_up_blocks();
    }
    copy_async_commit();
  }

 private:
  // Lane l learns the block of stage blocks_from_ + l.
  __device__ void look_up_blocks() {
    blocks_from_ = at_.stage;
    const int token = (at_.stage + lane_) * kDecodeStage + warp_ * kTile;
    blocks_ = at_.tile_visible(token, window_)
                  ? p_.block_tables[static_cast<int64_t>(at_.seq) * p_.max_blocks + (token >> p_.block_shift)]
                  : 0;
  }
  __device__ void copy(int slot, int token, int block) {
    constexpr int kChunks = D / 8;
    const int in_block = token & ((1 << p_.block_shift) - 1);
    const T* keys = static_cast<const T*>(p_.kv) + block * p_.kv_block_stride +
                    ((at_.head << p_.block_shift) + in_block) * static_cast<int64_t>(D);
    const T* values = keys + p_.kv_value_offset;
    const uint32_t to = ring_ + slot * Layout::kSlotBytes;
    const int first = at_.first_visible(window_) - token, last = at_.len - token;
    constexpr int kSteps = kTile * kChunks / 32;
#pragma unroll
    for (int i = 0; i < kSteps; ++i) {
      const int chunk = i * 32 + lane_, row = chunk / kChunks;
      const uint32_t offset = row * (Layout::kRow * 2) + chunk % kChunks * 16;
      const bool valid = row >= first && row < last;
      copy_async(to + offset, keys + chunk * 8, valid);
      copy_async(to + offset + Layout::kTileElements * 2, values + chunk * 8, valid);
    }
  }

  const AttentionParams& p_;
  int window_;
  DecodeCursor at_;
  uint32_t ring_;  // this warp's keys in slot 0
  int lane_, warp_;
  int blocks_ = 0, blocks_from_ = 0;
};

// One warp's running softmax over its tiles of a segment: rows lane / 4 and lane / 4 + 8.
template <typename T, int D>
struct DecodeState {
  using Layout = DecodeLayout<D>;
  Matrices q[D / 16];
  float sums[D / 8][4];
  float maximum[2], total[2];

  // packed: [16][kRow] of T.
  __device__ void start(uint32_t packed) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < D / 16; ++k)
      q[k] = load_matrices(packed + (lane % 16) * (Layout::kRow * 2) + (k * 16 + lane / 16 * 8) * 2);
#pragma unroll
    for (int i = 0; i < D / 8; ++i) sums[i][0] = sums[i][1] = sums[i][2] = sums[i][3] = 0.0f;
    maximum[0] = maximum[1] = kNothing;
    total[0] = total[1] = 0.0f;
  }

  __device__ void add_tile(const AttentionParams& p, int window, const DecodeCursor& at, int token, uint32_t keys) {
    const int lane = threadIdx.x % 32;
    float scores[2][4] = {};
    const uint32_t key_row = keys + ((lane % 8) + lane / 16 * 8) * (Layout::kRow * 2) + (lane / 8 % 2) * 16;
#pragma unroll
    for (int k = 0; k < D / 16; ++k) {
      const Matrices b = load_matrices(key_row + k * 32);
      multiply<T>(scores[0], q[k], b.r[0], b.r[1]);
      multiply<T>(scores[1], q[k], b.r[2], b.r[3]);
    }
#pragma unroll
    for (int j = 0; j < 2; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) scores[j][i] = to_score(p, scores[j][i]);
    }
    const int oldest = at.len - at.q_len;  // position of query row 0
    if (token + kTile > oldest + 1 || (window > 0 && token <= at.len - 1 - window))
      mask(scores, p, window, oldest, token);

    float factor[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float top =
          quad_max(fmaxf(fmaxf(scores[0][2 * r], scores[0][2 * r + 1]), fmaxf(scores[1][2 * r], scores[1][2 * r + 1])));
      const float next = fmaxf(maximum[r], top);
      const float shift = next == kNothing ? 0.0f : next;
      factor[r] = decay(maximum[r], shift);
      maximum[r] = next;
      float sum = 0.0f;
#pragma unroll
      for (int j = 0; j < 2; ++j) {
#pragma unroll
        for (int i = 2 * r; i < 2 * r + 2; ++i) {
          scores[j][i] = exp2_approx(scores[j][i] - shift);
          sum += scores[j][i];
        }
      }
      total[r] = total[r] * factor[r] + sum;
    }
    if (__any_sync(~0u, factor[0] != 1.0f || factor[1] != 1.0f)) {
#pragma unroll
      for (int i = 0; i < D / 8; ++i) {
        sums[i][0] *= factor[0];
        sums[i][1] *= factor[0];
        sums[i][2] *= factor[1];
        sums[i][3] *= factor[1];
      }
    }
    const Matrices weights{{pack<T>(scores[0][0], scores[0][1]), pack<T>(scores[0][2], scores[0][3]),
                            pack<T>(scores[1][0], scores[1][1]), pack<T>(scores[1][2], scores[1][3])}};
    const uint32_t value_row = keys + Layout::kTileElements * 2 + (lane % 16) * (Layout::kRow * 2) + lane / 16 * 16;
#pragma unroll
    for (int i = 0; i < D / 16; ++i) {
      const Matrices b = load_matrices_transposed(value_row + i * 32);
      multiply<T>(sums[2 * i], weights, b.r[0], b.r[1]);
      multiply<T>(sums[2 * i + 1], weights, b.r[2], b.r[3]);
    }
  }

 private:
  __device__ void mask(float (&scores)[2][4], const AttentionParams& p, int window, int oldest, int token) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int position = oldest + (lane / 4 + 8 * r) / p.group;
      const int first = window > 0 ? position + 1 - window : 0;
#pragma unroll
      for (int j = 0; j < 2; ++j) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int key = token + j * 8 + lane % 4 * 2 + i;
          if (key > position || key < first) scores[j][2 * r + i] = kNothing;
        }
      }
    }
  }
};

// Shared memory where the warps' sums of a segment meet; holds the packed query rows while a segment begins.
template <typename T, int D>
struct DecodeMerge {
  using Layout = DecodeLayout<D>;
  float* sums;        // [16][kMergeRow]
  float* statistics;  // [4 warps][maximum, total][16]
  float* merged;      // [maximum, total][16]

  __device__ void load_queries(const AttentionParams& p, const DecodeCursor& at) {
    constexpr int kChunks = D / 8;
    char* packed = reinterpret_cast<char*>(sums);
    const int rows = at.q_len * p.group;
    for (int i = threadIdx.x; i < kDecodeRows * kChunks; i += kDecodeThreads) {
      const int row = i / kChunks, chunk = i % kChunks;
      uint4 piece{0, 0, 0, 0};
      if (row < rows) {
        const T* from = static_cast<const T*>(p.q) + (at.q_begin + row / p.group) * p.q_stride +
                        static_cast<int64_t>(at.head * p.group + row % p.group) * D + chunk * 8;
        piece = *reinterpret_cast<const uint4*>(from);
      }
      *reinterpret_cast<uint4*>(packed + row * (Layout::kRow * 2) + chunk * 16) = piece;
    }
    __syncthreads();
  }

  // Afterwards sums, merged hold the thread block's part of the segment.
  __device__ void add(DecodeState<T, D>& state, int rows) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, row = lane / 4;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float total = quad_sum(state.total[r]);
      if (lane % 4 == 0) {
        statistics[(warp * 2 + 0) * kDecodeRows + row + 8 * r] = state.maximum[r];
        statistics[(warp * 2 + 1) * kDecodeRows + row + 8 * r] = total;
      }
    }
    __syncthreads();
    float factor[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float top = kNothing, total = 0.0f;
#pragma unroll
      for (int w = 0; w < kDecodeWarps; ++w) top = fmaxf(top, statistics[(w * 2) * kDecodeRows + row + 8 * r]);
#pragma unroll
      for (int w = 0; w < kDecodeWarps; ++w) {
        total += statistics[(w * 2 + 1) * kDecodeRows + row + 8 * r] *
                 decay(statistics[(w * 2) * kDecodeRows + row + 8 * r], top);
      }
      factor[r] = decay(state.maximum[r], top);
      if (warp == 0 && lane % 4 == 0) {
        merged[row + 8 * r] = top;
        merged[kDecodeRows + row + 8 * r] = total;
      }
    }
#pragma unroll
    for (int w = 0; w < kDecodeWarps; ++w) {
      if (warp == w) {
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          if (r == 1 && rows <= 8) break;
          float* to = sums + (row + 8 * r) * Layout::kMergeRow + lane % 4 * 2;
#pragma unroll
          for (int i = 0; i < D / 8; ++i) {
            float2 value{state.sums[i][2 * r] * factor[r], state.sums[i][2 * r + 1] * factor[r]};
            auto* cell = reinterpret_cast<float2*>(to + i * 8);
            if (w > 0) value = {value.x + cell->x, value.y + cell->y};
            *cell = value;
          }
        }
      }
      __syncthreads();
    }
  }
};

// Writes finished rows and joins the parts of cut segments.
template <typename T, int D>
struct DecodeOutput {
  using Layout = DecodeLayout<D>;
  const AttentionParams& p;
  const PlanHeader& plan;

  __device__ float* part(int cta, bool first_of_segment) const {
    return p.scratch + static_cast<int64_t>(2 * cta + (first_of_segment ? 1 : 0)) * kDecodeRows * (D + 2);
  }
  __device__ void store(const DecodeCursor& at, int row, int column, float4 sums, float maximum, float total) const {
    const int q_head = at.head * p.group + row % p.group;
    const float n = normalizer(p, q_head, maximum, total);
    T* to = static_cast<T*>(p.out) + (at.q_begin + row / p.group) * p.out_stride + static_cast<int64_t>(q_head) * D +
            column;
    *reinterpret_cast<uint2*>(to) = {pack<T>(sums.x * n, sums.y * n), pack<T>(sums.z * n, sums.w * n)};
  }

  __device__ void write_whole(const DecodeMerge<T, D>& merge, const DecodeCursor& at) const {
    for (int i = threadIdx.x; i < at.q_len * p.group * (D / 4); i += kDecodeThreads) {
      const int row = i / (D / 4), column = i % (D / 4) * 4;
      const float4 sums = *reinterpret_cast<const float4*>(merge.sums + row * Layout::kMergeRow + column);
      store(at, row, column, sums, merge.merged[row], merge.merged[kDecodeRows + row]);
    }
  }

  // begin, end: the segment's stages in the plan's numbering. flag: a word of shared memory.
  __device__ void write_part(const DecodeMerge<T, D>& merge, const DecodeCursor& at, int64_t begin, int64_t end,
                             int* flag) const {
    const auto owner = [this](int64_t stage) {
      return static_cast<int>(((stage + 1) * plan.decode_ctas - 1) / plan.decode_stages);
    };
    const int first = owner(begin), last = owner(end - 1);
    const int rows = at.q_len * p.group;
    float* own = part(blockIdx.x, static_cast<int>(blockIdx.x) == first);
    for (int i = threadIdx.x; i < rows * (D / 4); i += kDecodeThreads) {
      const int row = i / (D / 4), column = i % (D / 4) * 4;
      __stcg(reinterpret_cast<float4*>(own + row * D + column),
             *reinterpret_cast<const float4*>(merge.sums + row * Layout::kMergeRow + column));
    }
    if (threadIdx.x < kDecodeRows) {
      __stcg(own + kDecodeRows * D + threadIdx.x, merge.merged[threadIdx.x]);
      __stcg(own + kDecodeRows * (D + 1) + threadIdx.x, merge.merged[kDecodeRows + threadIdx.x]);
    }
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
      int* ticket = p.plan.tickets + at.seq * p.num_kv_heads + at.head;
      const bool is_last = atomicAdd(ticket, 1) == last - first;
      if (is_last) *ticket = 0;
      *flag = is_last;
    }
    __syncthreads();
    if (*flag == 0) return;
    __threadfence();
    for (int i = threadIdx.x; i < rows * (D / 4); i += kDecodeThreads) {
      const int row = i / (D / 4), column = i % (D / 4) * 4;
      float maximum = kNothing, total = 0.0f;
      float4 sums{0, 0, 0, 0};
#pragma unroll 4
      for (int cta = first; cta <= last; ++cta) {
        const float* from = part(cta, cta == first);
        const float4 more = __ldcg(reinterpret_cast<const float4*>(from + row * D + column));
        const float its_maximum = __ldcg(from + kDecodeRows * D + row);
        const float its_total = __ldcg(from + kDecodeRows * (D + 1) + row);
        const float top = fmaxf(maximum, its_maximum);
        const float a = decay(maximum, top), b = decay(its_maximum, top);
        sums = {sums.x * a + more.x * b, sums.y * a + more.y * b, sums.z * a + more.z * b, sums.w * a + more.w * b};
        total = total * a + its_total * b;
        maximum = top;
      }
      store(at, row, column, sums, maximum, total);
    }
  }
};

template <typename T, int D>
__global__ void __launch_bounds__(kDecodeThreads) decode_kernel(const __grid_constant__ AttentionParams p) {
  using Layout = DecodeLayout<D>;
  constexpr int kSlots = Layout::template kSlots<kLargeShared>;
  extern __shared__ __align__(128) char shared[];
  __shared__ int flag;
  DecodeMerge<T, D> merge;
  merge.sums = reinterpret_cast<float*>(shared + kSlots * Layout::kSlotBytes);
  merge.statistics = merge.sums + kDecodeRows * Layout::kMergeRow;
  merge.merged = merge.statistics + kDecodeWarps * 2 * kDecodeRows;

  const DecodeStart start = p.plan.decode_start[blockIdx.x];
  const PlanHeader plan = *p.plan.header;
  wait_for_previous_kernel();
  let_next_kernel_start();
  if (start.count == 0) return;

  DecodeCursor at;
  at.seq = start.seq;
  at.head = start.head;
  at.left = start.count;
  at.enter(p, plan.window, start.stage);

  const int warp = threadIdx.x / 32;
  const uint32_t ring = shared_address(shared) + warp * (2 * Layout::kTileElements * 2);
  DecodeLoader<T, D> loader(p, plan.window, at, ring);
#pragma unroll
  for (int slot = 0; slot < kSlots; ++slot) loader.load(slot);

  const DecodeOutput<T, D> output{p, plan};
  int slot = 0;
  while (at.left > 0) {
    const DecodeCursor segment = at;
    DecodeState<T, D> state;
    merge.load_queries(p, segment);
    state.start(shared_address(merge.sums));
    bool ended = false;
    do {
      copy_async_wait<kSlots - 1>();
      __syncwarp();
      const int token = at.stage * kDecodeStage + warp * kTile;
      if (segment.tile_visible(token, plan.window))
        state.add_tile(p, plan.window, segment, token, ring + slot * Layout::kSlotBytes);
      __syncwarp();
      loader.load(slot);
      slot = slot + 1 == kSlots ? 0 : slot + 1;
      ended = at.advance(p, plan.window);
    } while (!ended && at.left > 0);
    __syncthreads();  // every warp has its query rows
    merge.add(state, segment.q_len * p.group);
    const bool whole = segment.stage == segment.begin && ended;
    if (whole) {
      output.write_whole(merge, segment);
    } else {
      const int stages = segment.end - segment.begin;
      const int64_t begin = static_cast<int64_t>(p.plan.stage_base[segment.seq]) * p.num_kv_heads +
                            static_cast<int64_t>(segment.head) * stages;
      output.write_part(merge, segment, begin, begin + stages, &flag);
    }
    __syncthreads();  // before the next segment's query rows
  }
}

}  // namespace mhub::kernels::cuda
