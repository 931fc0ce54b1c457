// SPDX-License-Identifier: Apache-2.0
#include "cuda/attention/plan.h"

#include <bit>

namespace mhub::kernels::cuda {
namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / 32;
constexpr int kStartsPerBlock = kThreads / kDecodeThreads;

struct PlanParams {
  const int32_t* cu_seqlens_q;
  const int32_t* seq_lens;
  const int32_t* block_tables;
  int max_blocks, block_shift;
  int num_seqs, num_kv_heads, group, rows_per_tile, decode_rows, decode_ctas, window;
  PlanView plan;
};

// What a sequence adds to the running sums.
struct Sums {
  int stages;
  int sequences;  // with decode stages
  int tiles;
};
__device__ Sums operator+(Sums a, Sums b) {
  return {a.stages + b.stages, a.sequences + b.sequences, a.tiles + b.tiles};
}
__device__ Sums shuffle_up(Sums v, int delta) {
  return {__shfl_up_sync(~0u, v.stages, delta), __shfl_up_sync(~0u, v.sequences, delta),
          __shfl_up_sync(~0u, v.tiles, delta)};
}

__device__ Sums work_of(const PlanParams& p, int seq) {
  const int len = p.seq_lens[seq];
  const int q_len = p.cu_seqlens_q[seq + 1] - p.cu_seqlens_q[seq];
  if (len <= 0 || q_len <= 0) return {0, 0, 0};
  const int rows = q_len * p.group;
  if (rows > p.decode_rows) return {0, 0, (rows + p.rows_per_tile - 1) / p.rows_per_tile};
  const StageRange range = decode_stage_range(len, q_len, p.window);
  return {range.end - range.begin, 1, 0};
}

// Sum over the threads before this one; *total over all.
__device__ Sums scan(Sums own, Sums* total) {
  __shared__ Sums warp_sums[kWarps];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  Sums inclusive = own;
  for (int delta = 1; delta < 32; delta *= 2) {
    const Sums below = shuffle_up(inclusive, delta);
    if (lane >= delta) inclusive = inclusive + below;
  }
  if (lane == 31) warp_sums[warp] = inclusive;
  __syncthreads();
  Sums before{0, 0, 0}, all{0, 0, 0};
  for (int w = 0; w < kWarps; ++w) {
    if (w == warp) before = all;
    all = all + warp_sums[w];
  }
  *total = all;
  return {before.stages + inclusive.stages - own.stages, before.sequences + inclusive.sequences - own.sequences,
          before.tiles + inclusive.tiles - own.tiles};
}

struct Tables {  // shared memory, [num_seqs + 1] each
  int32_t* stages;
  int32_t* sequences;
  int32_t* tiles;  // of the sequence itself, not a running sum

  __device__ int64_t cost_before(int seq) const {
    return stages[seq] + static_cast<int64_t>(kSegmentCost) * sequences[seq];
  }
  __device__ int stages_of(int seq) const { return stages[seq + 1] - stages[seq]; }
};

// The last of num_seqs sequences whose `before` is at most x, which has work.
template <typename Before>
__device__ int owner_of(const Before& before, int num_seqs, int64_t x) {
  int low = 0, high = num_seqs;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (before(middle) <= x)
      low = middle;
    else
      high = middle;
  }
  return low;
}

// A boundary between thread blocks.
struct Boundary {
  int seq, head, stage;
  int64_t stages_before;  // of all sequences and heads
};

__device__ Boundary equal_boundary(const PlanParams& p, const Tables& t, int64_t cost) {
  const int seq = owner_of([&](int i) { return t.cost_before(i); }, p.num_seqs, cost / p.num_kv_heads);
  const int stages = t.stages_of(seq);
  const auto within = static_cast<int>(cost - t.cost_before(seq) * p.num_kv_heads);
  const int head = within / (stages + kSegmentCost), stage = max(0, within % (stages + kSegmentCost) - kSegmentCost);
  return {seq, head, stage, static_cast<int64_t>(t.stages[seq]) * p.num_kv_heads + head * stages + stage};
}

// What all decode thread blocks share.
struct Shares {
  int64_t stages, cost;
  int ctas;
};

__device__ Owners owners_of(const PlanParams& p, const Tables& t, const Shares& shares, int seq, int head) {
  const int stages = t.stages_of(seq);
  const int64_t begin =
      t.cost_before(seq) * p.num_kv_heads + static_cast<int64_t>(head) * (stages + kSegmentCost) + kSegmentCost;
  const auto owner = [&](int64_t cost) { return static_cast<int>(((cost + 1) * shares.ctas - 1) / shares.cost); };
  return {owner(begin), owner(begin + stages - 1)};
}

__device__ DecodeStart decode_start(const PlanParams& p, const Tables& t, const Shares& shares, int cta) {
  DecodeStart start{};
  if (cta >= shares.ctas) return start;
  const auto boundary = [&](int of) {
    return of == shares.ctas ? Boundary{0, 0, 0, shares.stages} : equal_boundary(p, t, shares.cost * of / shares.ctas);
  };
  const Boundary begin = boundary(cta), end = boundary(cta + 1);
  start.seq = begin.seq;
  start.head = begin.head;
  start.stage = begin.stage;
  start.count = static_cast<int>(end.stages_before - begin.stages_before);
  start.len = p.seq_lens[begin.seq];
  start.q_begin = p.cu_seqlens_q[begin.seq];
  start.q_len = p.cu_seqlens_q[begin.seq + 1] - start.q_begin;
  start.window = p.window;
  start.first_segment = owners_of(p, t, shares, begin.seq, begin.head);
  // A last segment that is cut goes on in the next thread block.
  if (cta + 1 < shares.ctas) start.last_segment = owners_of(p, t, shares, end.seq, end.head);
  return start;
}

__global__ void __launch_bounds__(kThreads) plan_kernel(PlanParams p) {
  extern __shared__ int32_t shared[];
  __shared__ DecodeStart starts[kStartsPerBlock];
  const Tables t{shared, shared + p.num_seqs + 1, shared + 2 * (p.num_seqs + 1)};
  const int tid = threadIdx.x;
  const int per_thread = (p.num_seqs + kThreads - 1) / kThreads;
  const int first = tid * per_thread, last = min(first + per_thread, p.num_seqs);
  Sums own{0, 0, 0};
  for (int seq = first; seq < last; ++seq) own = own + work_of(p, seq);
  Sums total;
  Sums before = scan(own, &total);
  for (int seq = first; seq < last; ++seq) {
    const Sums work = work_of(p, seq);
    t.stages[seq] = before.stages;
    t.sequences[seq] = before.sequences;
    t.tiles[seq] = work.tiles;
    before = before + work;
  }
  if (tid == 0) {
    t.stages[p.num_seqs] = total.stages;
    t.sequences[p.num_seqs] = total.sequences;
  }
  __syncthreads();

  Shares shares;
  shares.stages = static_cast<int64_t>(total.stages) * p.num_kv_heads;
  shares.cost = t.cost_before(p.num_seqs) * p.num_kv_heads;
  const int64_t wanted = (shares.stages + kMinDecodeStages - 1) / kMinDecodeStages;
  shares.ctas = static_cast<int>(min(static_cast<int64_t>(p.decode_ctas), wanted));
  const int local = tid / kDecodeThreads, cta = blockIdx.x * kStartsPerBlock + local;
  if (tid % kDecodeThreads == 0) {
    starts[local] = decode_start(p, t, shares, cta);
    if (cta < p.decode_ctas) p.plan.decode_start[cta] = starts[local];
  }
  __syncthreads();
  if (cta < p.decode_ctas) {
    const DecodeStart& start = starts[local];
    const int stage = decode_stage_range(start.len, start.q_len, p.window).begin + start.stage + tid % 32;
    const int token = stage * kDecodeStage + tid % kDecodeThreads / 32 * kDecodeTile;
    int32_t block = 0;
    if (start.count > 0 && decode_tile_visible(token, start.len, start.q_len, p.window))
      block = p.block_tables[static_cast<int64_t>(start.seq) * p.max_blocks + (token >> p.block_shift)];
    p.plan.first_blocks[cta * kDecodeThreads + tid % kDecodeThreads] = block;
  }
  if (blockIdx.x != 0) return;
  for (int i = tid; i < p.num_seqs * p.num_kv_heads; i += kThreads) p.plan.tickets[i] = 0;
  if (tid == 0) *p.plan.header = {total.tiles, p.window};

  if (total.tiles == 0) return;
  for (int seq = tid; seq < p.num_seqs; seq += kThreads) {  // longest context first, its last tile first
    const int tiles = t.tiles[seq];
    if (tiles == 0) continue;
    const int len = p.seq_lens[seq];
    int at = 0;
    for (int other = 0; other < p.num_seqs; ++other) {
      const int other_tiles = t.tiles[other];
      if (other_tiles == 0) continue;
      const int other_len = p.seq_lens[other];
      if (other_len > len || (other_len == len && other < seq)) at += other_tiles;
    }
    for (int i = 0; i < tiles; ++i) p.plan.prefill_tile[at + i] = {seq, tiles - 1 - i};
  }
}

}  // namespace

cudaError_t plan_attention(const AttentionSetup& setup, const AttentionBatch& batch, const PlanOptions& options,
                           void* plan, cudaStream_t stream) {
  if (batch.num_seqs > setup.limits.max_seqs || batch.num_tokens > setup.limits.max_tokens || plan == nullptr)
    return cudaErrorInvalidValue;
  PlanParams params;
  params.cu_seqlens_q = batch.cu_seqlens_q;
  params.seq_lens = batch.seq_lens;
  params.block_tables = batch.block_tables;
  params.max_blocks = batch.max_blocks;
  params.block_shift = std::countr_zero(static_cast<unsigned>(setup.shape.block_size));
  params.num_seqs = batch.num_seqs;
  params.num_kv_heads = setup.shape.num_kv_heads;
  params.group = setup.shape.group();
  params.rows_per_tile = prefill_rows(setup.shape.head_dim);
  params.decode_ctas = setup.decode_ctas;
  params.window = options.window;
  params.decode_rows = options.batch_invariant ? 0 : kDecodeRows;
  params.plan = view_plan(setup, plan);
  const size_t smem = 3 * (static_cast<size_t>(batch.num_seqs) + 1) * sizeof(int32_t);
  const int blocks = (setup.decode_ctas + kStartsPerBlock - 1) / kStartsPerBlock;
  plan_kernel<<<blocks, kThreads, smem, stream>>>(params);
  return cudaGetLastError();
}

}  // namespace mhub::kernels::cuda
