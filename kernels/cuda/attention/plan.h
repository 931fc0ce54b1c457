// SPDX-License-Identifier: Apache-2.0
// What a step's plan looks like in device memory, and the parameters that the kernels take.
#pragma once

#include <vector_types.h>

#include <cstddef>
#include <cstdint>

#include "cuda/attention/attention.h"

namespace mhub::kernels::cuda {

constexpr int kDecodeRows = 16;   // packed query rows of one product; sequences with more are prefilled
constexpr int kDecodeStage = 64;  // tokens of one decode stage, the unit of work
constexpr int kDecodeWarps = 4;
constexpr int kDecodeThreads = kDecodeWarps * 32;
constexpr int kDecodeTile =
    16;  // tokens of one warp's part of a stage; inside one block because blocks hold 16 or more
constexpr int kPrefillRows = 128;  // packed query rows of one prefill tile, 64 for head_dim 256

constexpr int prefill_rows(int head_dim) {
  return head_dim > 128 ? 64 : kPrefillRows;
}

struct PlanHeader {
  int32_t prefill_tiles;  // times kv heads are the thread blocks with work
  int32_t window;
};

// First and last thread block with a part of a segment, a segment being the stages of one sequence and head.
struct Owners {
  int32_t first, last;
};

// A thread block's contiguous run of stages, in the order sequence, kv head, stage. Runs cost the same: a stage costs
// 1, and the first of a segment kSegmentCost more. Only a run's first and last segment can be cut.
struct alignas(16) DecodeStart {
  int32_t seq, head;
  int32_t stage;                // within the sequence's stages
  int32_t count;                // stages of this thread block; 0 = none
  int32_t len, q_begin, q_len;  // of the sequence
  int32_t window;
  Owners first_segment, last_segment;
};
constexpr int kSegmentCost = 1;
constexpr int kMinDecodeStages = 2;  // of a thread block, where there are so many

struct PrefillTile {
  int32_t seq;
  int32_t tile;
};

// Pointers into a plan buffer.
struct PlanView {
  PlanHeader* header;
  int32_t* tickets;           // [max_seqs * num_kv_heads] finished pieces; zero between launches
  DecodeStart* decode_start;  // [decode_ctas]
  int32_t* first_blocks;      // [decode_ctas][kDecodeWarps][32] cache blocks of each warp's first tiles
  PrefillTile* prefill_tile;  // [max_prefill_tiles], longest context first
};

constexpr size_t align256(size_t bytes) {
  return (bytes + 255) / 256 * 256;
}
inline int max_prefill_tiles(const AttentionShape& shape, int num_seqs, int num_tokens) {
  const int64_t rows = static_cast<int64_t>(num_tokens) * shape.group();
  return static_cast<int>(rows / prefill_rows(shape.head_dim)) + num_seqs;
}

inline PlanView view_plan(const AttentionSetup& setup, void* plan, size_t* bytes = nullptr) {
  char* at = static_cast<char*>(plan);
  const auto take = [&at](size_t size) {
    char* start = at;
    at += align256(size);
    return start;
  };
  PlanView view;
  const auto seqs = static_cast<size_t>(setup.limits.max_seqs);
  view.header = reinterpret_cast<PlanHeader*>(take(sizeof(PlanHeader)));
  view.tickets =
      reinterpret_cast<int32_t*>(take(seqs * static_cast<size_t>(setup.shape.num_kv_heads) * sizeof(int32_t)));
  view.decode_start =
      reinterpret_cast<DecodeStart*>(take(static_cast<size_t>(setup.decode_ctas) * sizeof(DecodeStart)));
  view.first_blocks =
      reinterpret_cast<int32_t*>(take(static_cast<size_t>(setup.decode_ctas) * kDecodeThreads * sizeof(int32_t)));
  view.prefill_tile = reinterpret_cast<PrefillTile*>(
      take(static_cast<size_t>(max_prefill_tiles(setup.shape, setup.limits.max_seqs, setup.limits.max_tokens)) *
           sizeof(PrefillTile)));
  if (bytes) *bytes = static_cast<size_t>(at - static_cast<char*>(plan));
  return view;
}

// First stage that a sequence's oldest query row needs, and the end.
struct StageRange {
  int begin;
  int end;
};
#ifdef __CUDACC__
__host__ __device__
#endif
    inline StageRange
    decode_stage_range(int len, int q_len, int window) {
  const int oldest = len - q_len + 1 - window;
  return {window > 0 && oldest > 0 ? oldest / kDecodeStage : 0, (len + kDecodeStage - 1) / kDecodeStage};
}

// Whether a warp's tile that starts at `token` holds a key that some query row of the sequence sees.
#ifdef __CUDACC__
__host__ __device__
#endif
    inline bool
    decode_tile_visible(int token, int len, int q_len, int window) {
  return token < len && (window <= 0 || token + kDecodeTile > len - q_len + 1 - window);
}

// What the decode and prefill kernels take.
struct AttentionParams {
  void* out;
  const void* q;
  const void* kv;
  int64_t out_stride, q_stride, kv_block_stride;
  int64_t kv_value_offset;  // elements from a block's keys to its values
  float scale_log2;         // scale * log2(e)
  float cap_log2;           // soft_cap * log2(e); 0 = off
  float scale_over_cap;
  const float* sinks;
  const int32_t* cu_seqlens_q;
  const int32_t* seq_lens;
  const int32_t* block_tables;
  int max_blocks;
  int num_seqs;
  int block_shift;  // log2(block_size)
  int num_kv_heads;
  int group;
  PlanView plan;
  float* scratch;
};

// One instantiation per head size, each in its own file.
struct AttentionKernels {
  cudaError_t (*prepare)(AttentionSetup* setup, int max_smem);
  cudaError_t (*decode)(const AttentionSetup& setup, const AttentionParams& params, bool overlap, cudaStream_t stream);
  cudaError_t (*prefill)(const AttentionSetup& setup, const AttentionParams& params, int tiles, bool overlap,
                         cudaStream_t stream);
};
const AttentionKernels& attention_kernels_d64();
const AttentionKernels& attention_kernels_d80();
const AttentionKernels& attention_kernels_d96();
const AttentionKernels& attention_kernels_d128();
const AttentionKernels& attention_kernels_d256();

// Prefill by warpgroup products for head_dim 128; sets wide_prefill where this build and the device have them.
cudaError_t prepare_wide_prefill(AttentionSetup* setup);
cudaError_t wide_prefill(const AttentionSetup& setup, const AttentionParams& params, int tiles, bool overlap,
                         cudaStream_t stream);

}  // namespace mhub::kernels::cuda
