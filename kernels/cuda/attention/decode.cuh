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

constexpr int kPartsAhead = 8;  // parts of a cut segment read at once
constexpr int kTile = kDecodeTile;

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

  __device__ explicit DecodeCursor(const DecodeStart& start)
      : seq(start.seq),
        head(start.head),
        left(start.count),
        len(start.len),
        q_begin(start.q_begin),
        q_len(start.q_len) {
    enter_stages(start.window, start.stage);
  }
  // The next sequence from `seq` on that has stages.
  __device__ void enter(const AttentionParams& p, int window) {
    for (;; ++seq) {
      len = p.seq_lens[seq];
      q_begin = p.cu_seqlens_q[seq];
      q_len = p.cu_seqlens_q[seq + 1] - q_begin;
      if (len > 0 && q_len > 0 && q_len * p.group <= kDecodeRows) break;
    }
    enter_stages(window, 0);
  }
  __device__ void enter_stages(int window, int stage_within) {
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
      enter(p, window);
    }
    return true;
  }
  __device__ int first_visible(int window) const { return window > 0 ? max(0, len - q_len + 1 - window) : 0; }
  __device__ bool tile_visible(int token, int window) const { return decode_tile_visible(token, len, q_len, window); }
};

// One warp's loads, ahead of its products.
template <typename T, int D>
class DecodeLoader {
  using Layout = DecodeLayout<D>;

 public:
  // first_block: the block of the tile of this warp in stage `lane` of the run.
  __device__ DecodeLoader(const AttentionParams& p, int window, const DecodeCursor& start, int first_block,
                          uint32_t ring)
      : p_(p),
        window_(window),
        at_(start),
        ring_(ring),
        lane_(threadIdx.x % 32),
        warp_(threadIdx.x / 32),
        blocks_(first_block),
        blocks_from_(start.stage) {}
  // Whether the next tile holds only tokens of earlier steps.
  __device__ bool next_is_older() const {
    return at_.left > 0 && (at_.stage + 1) * kDecodeStage <= at_.len - at_.q_len;
  }
  // The next tile into a slot of the ring; one commit group, empty at the end.
  __device__ void load(int slot) {
    if (at_.left > 0) {
      const int token = at_.stage * kDecodeStage + warp_ * kTile;
      if (at_.stage - blocks_from_ == 32) look_up_blocks();
      const int block = __shfl_sync(~0u, blocks_, at_.stage - blocks_from_);
      if (at_.tile_visible(token, window_)) copy(slot, token, block);
      const int seq = at_.seq;
      if (at_.advance(p_, window_) && at_.left > 0 && (at_.seq != seq || blocks_from_ != at_.stage)) look_up_blocks();
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
  int blocks_, blocks_from_;  // of the sequence's stages
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

  // A segment's query rows on their way through registers.
  static constexpr int kPieces = (kDecodeRows * (D / 8) + kDecodeThreads - 1) / kDecodeThreads;
  struct Queries {
    uint4 pieces[kPieces];
  };
  __device__ static Queries fetch_queries(const AttentionParams& p, const DecodeCursor& at) {
    constexpr int kChunks = D / 8;
    const int rows = at.q_len * p.group;
    Queries result;
#pragma unroll
    for (int n = 0; n < kPieces; ++n) {
      const int i = n * kDecodeThreads + threadIdx.x, row = i / kChunks;
      result.pieces[n] = {0, 0, 0, 0};
      if (row < rows) {
        const T* from = static_cast<const T*>(p.q) + (at.q_begin + row / p.group) * p.q_stride +
                        static_cast<int64_t>(at.head * p.group + row % p.group) * D + i % kChunks * 8;
        result.pieces[n] = *reinterpret_cast<const uint4*>(from);
      }
    }
    return result;
  }
  __device__ void put_queries(const Queries& queries) {
    constexpr int kChunks = D / 8;
    char* packed = reinterpret_cast<char*>(sums);
#pragma unroll
    for (int n = 0; n < kPieces; ++n) {
      const int i = n * kDecodeThreads + threadIdx.x;
      if (i < kDecodeRows * kChunks)
        *reinterpret_cast<uint4*>(packed + i / kChunks * (Layout::kRow * 2) + i % kChunks * 16) = queries.pieces[n];
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
    // Few rows leave room for several copies of the sums, and the warps need fewer turns.
    const int turn = warp / copies(rows), base = warp % copies(rows) * (kDecodeRows / copies(rows));
#pragma unroll 1
    for (int w = 0; w * copies(rows) < kDecodeWarps; ++w) {
      if (turn == w) {
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          if (row + 8 * r >= rows) break;
          float* to = sums + (base + row + 8 * r) * Layout::kMergeRow + lane % 4 * 2;
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
  __device__ static int copies(int rows) {
    return rows <= 4 ? 4 : rows <= 8 ? 2 : 1;
  }
  // After add().
  __device__ float4 sum(int row, int column, int rows) const {
    float4 result{0, 0, 0, 0};
    for (int copy = 0; copy < copies(rows); ++copy) {
      const float4 more = *reinterpret_cast<const float4*>(
          sums + (copy * (kDecodeRows / copies(rows)) + row) * Layout::kMergeRow + column);
      result = {result.x + more.x, result.y + more.y, result.z + more.z, result.w + more.w};
    }
    return result;
  }
};

// Writes finished rows and joins the parts of cut segments.
template <typename T, int D>
struct DecodeOutput {
  using Layout = DecodeLayout<D>;
  const AttentionParams& p;

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
    const int rows = at.q_len * p.group;
    for (int i = threadIdx.x; i < rows * (D / 4); i += kDecodeThreads) {
      const int row = i / (D / 4), column = i % (D / 4) * 4;
      store(at, row, column, merge.sum(row, column, rows), merge.merged[row], merge.merged[kDecodeRows + row]);
    }
  }

  // flag: a word of shared memory.
  __device__ void write_part(const DecodeMerge<T, D>& merge, const DecodeCursor& at, Owners owners, int* flag) const {
    const int rows = at.q_len * p.group;
    float* own = part(blockIdx.x, static_cast<int>(blockIdx.x) == owners.first);
    for (int i = threadIdx.x; i < rows * (D / 4); i += kDecodeThreads) {
      const int row = i / (D / 4), column = i % (D / 4) * 4;
      __stcg(reinterpret_cast<float4*>(own + row * D + column), merge.sum(row, column, rows));
    }
    if (threadIdx.x < kDecodeRows) {
      const float2 statistics{merge.merged[threadIdx.x], merge.merged[kDecodeRows + threadIdx.x]};
      __stcg(reinterpret_cast<float2*>(own + kDecodeRows * D) + threadIdx.x, statistics);
    }
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
      int* ticket = p.plan.tickets + at.seq * p.num_kv_heads + at.head;
      const bool is_last = atomicAdd(ticket, 1) == owners.last - owners.first;
      if (is_last) *ticket = 0;
      *flag = is_last;
    }
    __syncthreads();
    if (*flag == 0) return;
    __threadfence();
    join_parts(at, owners);
  }

 private:
  __device__ void join_parts(const DecodeCursor& at, Owners owners) const {
    const int parts = owners.last - owners.first + 1;
    for (int i = threadIdx.x; i < at.q_len * p.group * (D / 4); i += kDecodeThreads) {
      const int row = i / (D / 4), column = i % (D / 4) * 4;
      float4 sums{0, 0, 0, 0};
      float top = kNothing, total = 0.0f;
      for (int done = 0; done < parts; done += kPartsAhead) {
        float4 more[kPartsAhead];
        float2 statistics[kPartsAhead];  // maximum, total
#pragma unroll
        for (int n = 0; n < kPartsAhead; ++n) {
          const bool there = done + n < parts;
          const float* from = part(owners.first + (there ? done + n : 0), !there || done + n == 0);
          more[n] = __ldcg(reinterpret_cast<const float4*>(from + row * D + column));
          statistics[n] = __ldcg(reinterpret_cast<const float2*>(from + kDecodeRows * D) + row);
          if (!there) statistics[n] = {kNothing, 0.0f};
        }
        float next = top;
#pragma unroll
        for (int n = 0; n < kPartsAhead; ++n) next = fmaxf(next, statistics[n].x);
        const float kept = decay(top, next);
        sums = {sums.x * kept, sums.y * kept, sums.z * kept, sums.w * kept};
        total *= kept;
#pragma unroll
        for (int n = 0; n < kPartsAhead; ++n) {
          const float weight = decay(statistics[n].x, next);
          sums.x += more[n].x * weight;
          sums.y += more[n].y * weight;
          sums.z += more[n].z * weight;
          sums.w += more[n].w * weight;
          total += statistics[n].y * weight;
        }
        top = next;
      }
      store(at, row, column, sums, top, total);
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
  const int first_block = p.plan.first_blocks[blockIdx.x * kDecodeThreads + threadIdx.x];
  if (start.count == 0) return;
  const int window = start.window;
  DecodeCursor at(start);

  const int warp = threadIdx.x / 32;
  const uint32_t ring = shared_address(shared) + warp * (2 * Layout::kTileElements * 2);
  DecodeLoader<T, D> loader(p, window, at, first_block, ring);
  // The kernel before this one may still be writing this step's keys and values, but none of earlier steps.
  int loads = 0;
  for (; loads < kSlots && loader.next_is_older(); ++loads) loader.load(loads);
  wait_for_previous_kernel();
  let_next_kernel_start();
  auto queries = merge.fetch_queries(p, at);
  for (; loads < kSlots; ++loads) loader.load(loads);

  const DecodeOutput<T, D> output{p};
  Owners owners = start.first_segment;
  int slot = 0;
  while (at.left > 0) {
    const DecodeCursor segment = at;
    DecodeState<T, D> state;
    merge.put_queries(queries);
    state.start(shared_address(merge.sums));
    bool ended = false;
    do {
      copy_async_wait<kSlots - 1>();
      __syncwarp();
      const int token = at.stage * kDecodeStage + warp * kTile;
      if (segment.tile_visible(token, window))
        state.add_tile(p, window, segment, token, ring + slot * Layout::kSlotBytes);
      __syncwarp();
      loader.load(slot);
      slot = slot + 1 == kSlots ? 0 : slot + 1;
      ended = at.advance(p, window);
    } while (!ended && at.left > 0);
    if (at.left > 0) queries = merge.fetch_queries(p, at);
    __syncthreads();  // every warp has its query rows
    merge.add(state, segment.q_len * p.group);
    if (segment.stage == segment.begin && ended) {
      output.write_whole(merge, segment);
    } else {
      output.write_part(merge, segment, owners, &flag);
    }
    owners = start.last_segment;
    __syncthreads();  // before the next segment's query rows
  }
}

}  // namespace mhub::kernels::cuda
