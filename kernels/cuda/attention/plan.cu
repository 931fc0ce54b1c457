// SPDX-License-Identifier: Apache-2.0
#include "cuda/attention/plan.h"

namespace mhub::kernels::cuda {
namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / 32;

struct PlanParams {
  const int32_t* cu_seqlens_q;
  const int32_t* seq_lens;
  int num_seqs, num_kv_heads, group, rows_per_tile, decode_ctas, window;
  bool batch_invariant;
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
  if (rows > kDecodeRows) return {0, 0, (rows + p.rows_per_tile - 1) / p.rows_per_tile};
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

// The last index whose base is at most x: that sequence's part of the running sum holds x.
__device__ int owner_of(const int32_t* base, int count, int64_t x) {
  int low = 0, high = count;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (base[middle] <= x)
      low = middle;
    else
      high = middle;
  }
  return low;
}

struct Tables {  // shared memory, [num_seqs + 1] each
  int32_t* stages;
  int32_t* sequences;
  int32_t* tiles;  // of the sequence itself, not a running sum
};

__device__ DecodeStart equal_share(const PlanParams& p, const Tables& t, int cta, int64_t stages, int ctas) {
  const int64_t begin = stages * cta / ctas, end = stages * (cta + 1) / ctas;
  const int seq = owner_of(t.stages, p.num_seqs, begin / p.num_kv_heads);
  const int of_sequence = t.stages[seq + 1] - t.stages[seq];
  const auto within = static_cast<int>(begin - static_cast<int64_t>(t.stages[seq]) * p.num_kv_heads);
  return {seq, within / of_sequence, within % of_sequence, static_cast<int>(end - begin)};
}

__device__ DecodeStart whole_segments(const PlanParams& p, const Tables& t, int cta, int segments, int ctas) {
  const auto stages_before = [&](int segment, int* seq) {
    *seq = owner_of(t.sequences, p.num_seqs, segment / p.num_kv_heads);
    return static_cast<int64_t>(t.stages[*seq]) * p.num_kv_heads +
           static_cast<int64_t>(segment % p.num_kv_heads) * (t.stages[*seq + 1] - t.stages[*seq]);
  };
  const auto begin = static_cast<int>(static_cast<int64_t>(segments) * cta / ctas);
  const auto end = static_cast<int>(static_cast<int64_t>(segments) * (cta + 1) / ctas);
  int seq = 0, last = 0;
  const int64_t first_stage = stages_before(begin, &seq);
  const int64_t end_stage =
      end == segments ? static_cast<int64_t>(t.stages[p.num_seqs]) * p.num_kv_heads : stages_before(end, &last);
  return {seq, begin % p.num_kv_heads, 0, static_cast<int>(end_stage - first_stage)};
}

__global__ void __launch_bounds__(kThreads) plan_kernel(PlanParams p) {
  extern __shared__ int32_t shared[];
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

  const int64_t stages = static_cast<int64_t>(total.stages) * p.num_kv_heads;
  const int segments = total.sequences * p.num_kv_heads;
  const auto ctas = static_cast<int>(
      min(static_cast<int64_t>(p.decode_ctas), p.batch_invariant ? static_cast<int64_t>(segments) : stages));
  for (int i = tid; i <= p.num_seqs; i += kThreads) p.plan.stage_base[i] = t.stages[i];
  for (int i = tid; i < p.num_seqs * p.num_kv_heads; i += kThreads) p.plan.tickets[i] = 0;
  for (int cta = tid; cta < p.decode_ctas; cta += kThreads) {
    DecodeStart start{0, 0, 0, 0};
    if (cta < ctas)
      start = p.batch_invariant ? whole_segments(p, t, cta, segments, ctas) : equal_share(p, t, cta, stages, ctas);
    p.plan.decode_start[cta] = start;
  }
  if (tid == 0) *p.plan.header = {stages, ctas, total.tiles, p.window, p.batch_invariant ? 1 : 0};

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
  params.num_seqs = batch.num_seqs;
  params.num_kv_heads = setup.shape.num_kv_heads;
  params.group = setup.shape.group();
  params.rows_per_tile = prefill_rows(setup.shape.head_dim);
  params.decode_ctas = setup.decode_ctas;
  params.window = options.window;
  params.batch_invariant = options.batch_invariant;
  params.plan = view_plan(setup, plan);
  const size_t smem = 3 * (static_cast<size_t>(batch.num_seqs) + 1) * sizeof(int32_t);
  plan_kernel<<<1, kThreads, smem, stream>>>(params);
  return cudaGetLastError();
}

}  // namespace mhub::kernels::cuda
