// SPDX-License-Identifier: Apache-2.0
#include "cuda/paged_attention.h"

#include <algorithm>

#include "cuda/plain_attention.h"

namespace mhub::kernels::cuda {
namespace {

constexpr const char* kName = "paged_attention";
constexpr AttentionLimits kLimits{.max_seqs = 4000, .max_tokens = 1 << 20};
constexpr int64_t kDecodeRows = 16;  // attention_decode() takes sequences of at most so many query rows times the group

bool aligned(const TensorView& view) {
  return reinterpret_cast<uintptr_t>(view.data) % 16 == 0 && view.stride % 8 == 0;
}

// Whether some sequence has query rows for attention_decode(), and for attention_prefill().
struct Kinds {
  bool decode = false, prefill = false;
};
Kinds kinds_of(const AttentionMetadata& metadata, int64_t group) {
  Kinds kinds;
  for (size_t s = 0; s + 1 < metadata.cu_seqlens_q.size(); ++s) {
    const int64_t rows = metadata.cu_seqlens_q[s + 1] - metadata.cu_seqlens_q[s];
    (rows * group <= kDecodeRows ? kinds.decode : kinds.prefill) = true;
  }
  return kinds;
}

}  // namespace

PagedAttention::Planned* PagedAttention::planned_for(TensorView q, const KvShape& shape, int64_t window) {
  const int64_t heads = q.cols / shape.head_dim;
  const Key key{heads, shape.num_kv_heads, shape.head_dim, shape.block_size, q.dtype, window};
  const auto [found, is_new] = plans_.try_emplace(key);
  if (!is_new) return found->second ? &*found->second : nullptr;
  if (q.dtype == DType::kF32 || shape.latent_dim > 0) return nullptr;
  AttentionShape wanted;
  wanted.num_q_heads = static_cast<int>(heads);
  wanted.num_kv_heads = static_cast<int>(shape.num_kv_heads);
  wanted.head_dim = static_cast<int>(shape.head_dim);
  wanted.block_size = static_cast<int>(shape.block_size);
  wanted.type = q.dtype == DType::kF16 ? AttentionType::kFloat16 : AttentionType::kBFloat16;
  Planned planned;
  const cudaError_t error = prepare_attention(wanted, kLimits, &planned.setup);
  if (error == cudaErrorInvalidValue) return nullptr;
  check(error, kName, {heads, shape.num_kv_heads, shape.head_dim});
  planned.plan = DeviceMemory::allocate(planned.setup.plan_bytes);
  if (scratch_.bytes() < planned.setup.scratch_bytes) {
    check(cudaStreamSynchronize(stream_), kName);
    if (scratch_) inputs_.forget_recordings();  // they hold the old address
    scratch_ = DeviceMemory::allocate(planned.setup.scratch_bytes);
  }
  require(planned.plan && scratch_, kName, {static_cast<int64_t>(planned.setup.scratch_bytes)},
          "no memory for its plan");
  check(cudaMemsetAsync(planned.plan.as<>(), 0, planned.plan.bytes(), stream_), kName);
  found->second = std::move(planned);
  return &*found->second;
}

void PagedAttention::run_fast(Planned& planned, TensorView out, TensorView q, const AttentionMetadata& metadata,
                              const AttentionOptions& options, const CudaKvCache& cache, int64_t layer) {
  const KvShape& shape = cache.shape();
  const DeviceAttention arrays = inputs_.attention(metadata, shape, q.rows);
  AttentionBatch batch;
  batch.cu_seqlens_q = arrays.cu_seqlens_q;
  batch.seq_lens = arrays.seq_lens;
  batch.block_tables = arrays.block_tables;
  batch.max_blocks = static_cast<int>(arrays.table_stride);
  batch.num_seqs = static_cast<int>(arrays.sequences);
  batch.num_tokens = static_cast<int>(q.rows);
  const bool plan = !inputs_.announced(metadata) || planned.epoch != inputs_.epoch();
  if (plan) {
    PlanOptions plan_options;
    plan_options.window = static_cast<int>(options.window);
    plan_options.batch_invariant = batch_invariant_;
    check(plan_attention(planned.setup, batch, plan_options, planned.plan.as<>(), stream_), "plan_attention",
          {arrays.sequences, q.rows});
    planned.epoch = inputs_.epoch();
  }
  AttentionCall call;
  call.out = out.data;
  call.q = q.data;
  call.out_stride = out.stride;
  call.q_stride = q.stride;
  call.kv = cache.layer(layer);
  call.scale = options.scale;
  call.soft_cap = options.soft_cap;
  call.sinks = options.sinks;
  call.plan = planned.plan.as<>();
  call.scratch = scratch_.as<>();
  // Behind the rotation, which writes this step's keys and values and nothing else of the cache.
  call.overlap_previous = !plan && planned.setup.compute_major >= 9;
  const Kinds kinds = batch_invariant_ ? Kinds{.prefill = true} : kinds_of(metadata, planned.setup.shape.group());
  if (kinds.decode)
    check(attention_decode(planned.setup, batch, call, stream_), "attention_decode", {arrays.sequences, q.cols});
  call.overlap_previous = call.overlap_previous && !kinds.decode;
  if (kinds.prefill)
    check(attention_prefill(planned.setup, batch, call, stream_), "attention_prefill", {q.rows, q.cols});
}

void PagedAttention::run(TensorView out, TensorView q, const AttentionMetadata& metadata,
                         const AttentionOptions& options, const CudaKvCache& cache, int64_t layer) {
  const KvShape& shape = cache.shape();
  const bool fits = aligned(out) && aligned(q) && options.window < (int64_t{1} << 31) && q.rows <= kLimits.max_tokens &&
                    static_cast<int64_t>(metadata.seq_lens.size()) <= kLimits.max_seqs;
  if (Planned* planned = fits ? planned_for(q, shape, options.window) : nullptr)
    run_fast(*planned, out, q, metadata, options, cache, layer);
  else
    plain_attention(out, q, inputs_.attention(metadata, shape, q.rows), options, cache, layer, stream_);
}

}  // namespace mhub::kernels::cuda
