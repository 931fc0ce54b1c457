// SPDX-License-Identifier: Apache-2.0
#include "cuda/attention/attention.h"

#include <bit>

#include "cuda/attention/plan.h"

namespace mhub::kernels::cuda {
namespace {

constexpr int kMaxSeqs = 4000;  // three tables of them fit the plan kernel's shared memory
constexpr float kLog2E = 1.4426950408889634f;

const AttentionKernels* kernels_for(int head_dim) {
  switch (head_dim) {
    case 64:
      return &attention_kernels_d64();
    case 80:
      return &attention_kernels_d80();
    case 96:
      return &attention_kernels_d96();
    case 128:
      return &attention_kernels_d128();
    case 256:
      return &attention_kernels_d256();
    default:
      return nullptr;
  }
}

bool valid(const AttentionShape& shape) {
  return shape.num_kv_heads > 0 && shape.num_q_heads % shape.num_kv_heads == 0 && shape.group() >= 1 &&
         shape.group() <= kDecodeRows && shape.block_size >= 16 &&
         std::has_single_bit(static_cast<unsigned>(shape.block_size)) && kernels_for(shape.head_dim) != nullptr;
}

bool valid(const AttentionSetup& setup, const AttentionBatch& batch, const AttentionCall& call) {
  const auto aligned = [](const void* p) { return p != nullptr && reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  return aligned(call.out) && aligned(call.q) && aligned(call.kv) && call.out_stride % 8 == 0 &&
         call.q_stride % 8 == 0 && call.kv_block_stride % 8 == 0 && call.plan != nullptr && call.scratch != nullptr &&
         batch.num_seqs <= setup.limits.max_seqs && batch.num_tokens <= setup.limits.max_tokens;
}

AttentionParams make_params(const AttentionSetup& setup, const AttentionBatch& batch, const AttentionCall& call) {
  const AttentionShape& shape = setup.shape;
  const auto per_head = static_cast<int64_t>(shape.block_size) * shape.head_dim;
  AttentionParams p;
  p.out = call.out;
  p.q = call.q;
  p.kv = call.kv;
  p.out_stride = call.out_stride;
  p.q_stride = call.q_stride;
  p.kv_value_offset = shape.num_kv_heads * per_head;
  p.kv_block_stride = call.kv_block_stride != 0 ? call.kv_block_stride : 2 * p.kv_value_offset;
  p.scale_log2 = call.scale * kLog2E;
  p.cap_log2 = call.soft_cap * kLog2E;
  p.scale_over_cap = call.soft_cap != 0.0f ? call.scale / call.soft_cap : 0.0f;
  p.sinks = call.sinks;
  p.cu_seqlens_q = batch.cu_seqlens_q;
  p.seq_lens = batch.seq_lens;
  p.block_tables = batch.block_tables;
  p.max_blocks = batch.max_blocks;
  p.num_seqs = batch.num_seqs;
  p.block_shift = std::countr_zero(static_cast<unsigned>(shape.block_size));
  p.num_kv_heads = shape.num_kv_heads;
  p.group = shape.group();
  p.plan = view_plan(setup, const_cast<void*>(call.plan));
  p.scratch = static_cast<float*>(call.scratch);
  return p;
}

}  // namespace

cudaError_t prepare_attention(const AttentionShape& shape, const AttentionLimits& limits, AttentionSetup* setup) {
  if (!valid(shape) || limits.max_seqs < 1 || limits.max_seqs > kMaxSeqs || limits.max_tokens < 1)
    return cudaErrorInvalidValue;
  AttentionSetup result;
  result.shape = shape;
  result.limits = limits;
  int device = 0, processors = 0, max_smem = 0;
  cudaError_t error = cudaGetDevice(&device);
  const auto attribute = [&](int* value, cudaDeviceAttr which) {
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(value, which, device);
  };
  attribute(&processors, cudaDevAttrMultiProcessorCount);
  attribute(&max_smem, cudaDevAttrMaxSharedMemoryPerBlockOptin);
  attribute(&result.compute_major, cudaDevAttrComputeCapabilityMajor);
  if (error != cudaSuccess) return error;
  error = kernels_for(shape.head_dim)->prepare(&result, max_smem);
  if (error != cudaSuccess) return error;
  result.decode_ctas *= processors;
  view_plan(result, nullptr, &result.plan_bytes);
  // Two cut segments at most per thread block: its first and its last.
  const size_t partial = static_cast<size_t>(kDecodeRows) * (static_cast<size_t>(shape.head_dim) + 2) * sizeof(float);
  result.scratch_bytes = align256(2 * static_cast<size_t>(result.decode_ctas) * partial);
  *setup = result;
  return cudaSuccess;
}

cudaError_t attention_decode(const AttentionSetup& setup, const AttentionBatch& batch, const AttentionCall& call,
                             cudaStream_t stream) {
  if (!valid(setup, batch, call)) return cudaErrorInvalidValue;
  if (batch.num_seqs == 0) return cudaSuccess;
  return kernels_for(setup.shape.head_dim)
      ->decode(setup, make_params(setup, batch, call), call.overlap_previous, stream);
}

cudaError_t attention_prefill(const AttentionSetup& setup, const AttentionBatch& batch, const AttentionCall& call,
                              cudaStream_t stream) {
  if (!valid(setup, batch, call)) return cudaErrorInvalidValue;
  if (batch.num_seqs == 0 || batch.num_tokens == 0) return cudaSuccess;
  const int tiles = max_prefill_tiles(setup.shape, batch.num_seqs, batch.num_tokens);
  return kernels_for(setup.shape.head_dim)
      ->prefill(setup, make_params(setup, batch, call), tiles, call.overlap_previous, stream);
}

}  // namespace mhub::kernels::cuda
