// SPDX-License-Identifier: Apache-2.0
// Paged attention of a ragged batch on one GPU, FP16 or BF16 with float32 accumulation.
//
// Once per engine: prepare_attention() sizes everything. Once per step and distinct window: plan_attention(), a small
// kernel that cuts the batch into equal pieces of work on the device. Once per layer: attention_decode() and, when some
// sequence has many query rows, attention_prefill(). All launches go to the given stream, allocate nothing, wait for
// nothing and have a grid that does not depend on device data, so a captured graph stays valid while lengths change.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace mhub::kernels::cuda {

enum class AttentionType { kFloat16, kBFloat16 };

struct AttentionShape {
  int num_q_heads = 0;  // a multiple of num_kv_heads, at most 16 times it
  int num_kv_heads = 0;
  int head_dim = 0;     // 64, 80, 96, 128 or 256
  int block_size = 16;  // tokens of a block, a power of two >= 16
  AttentionType type = AttentionType::kBFloat16;
  int group() const { return num_kv_heads > 0 ? num_q_heads / num_kv_heads : 0; }
};

struct AttentionLimits {
  int max_seqs = 0;    // sequences of one step
  int max_tokens = 0;  // query tokens of one step
};

// The result of prepare_attention(): what to allocate and how to launch. A plain value, never changed afterwards.
struct AttentionSetup {
  AttentionShape shape;
  AttentionLimits limits;
  size_t plan_bytes = 0;     // one buffer per distinct window of the model, 256-byte aligned
  size_t scratch_bytes = 0;  // one buffer, shared by all layers and plans that run one after the other
  int decode_ctas = 0;       // thread blocks that the device holds at once
  size_t decode_smem = 0;
  size_t prefill_smem = 0;
  int compute_major = 0;
  bool wide_prefill = false;  // by warpgroup products (sm_90a)
};

// Device arrays that describe one step; the same for all its layers. Sequence s owns the query rows
// [cu_seqlens_q[s], cu_seqlens_q[s + 1]); the last of them is the token at position seq_lens[s] - 1. A sequence whose
// length is 0 is padding: nothing of it is read or written.
struct AttentionBatch {
  const int32_t* cu_seqlens_q = nullptr;  // [num_seqs + 1]
  const int32_t* seq_lens = nullptr;      // [num_seqs] tokens in the cache, this step's included
  const int32_t* block_tables = nullptr;  // [num_seqs, max_blocks]
  int max_blocks = 0;
  int num_seqs = 0;    // of the captured bucket, padding included
  int num_tokens = 0;  // at least cu_seqlens_q[num_seqs]; bounds the grid of attention_prefill()
};

struct PlanOptions {
  int window = 0;  // a query sees the last `window` positions, its own included; 0 = all
  // Every row is one of attention_prefill(), whatever its step: its answer depends on nothing but its sequence, neither
  // on the batch nor on how the sequence was cut into steps. Slow for long sequences in small batches.
  bool batch_invariant = false;
};

struct AttentionCall {
  void* out = nullptr;      // [num_tokens, num_q_heads * head_dim]
  const void* q = nullptr;  // likewise
  int64_t out_stride = 0;   // elements between rows, a multiple of 8
  int64_t q_stride = 0;
  const void* kv = nullptr;     // this layer's cache: [block][K, V][kv_head][slot][head_dim]
  int64_t kv_block_stride = 0;  // elements between blocks; 0 = 2 * num_kv_heads * block_size * head_dim
  float scale = 1.0f;
  float soft_cap = 0.0f;         // scores become soft_cap * tanh(score / soft_cap); 0 = off
  const float* sinks = nullptr;  // [num_q_heads] logits that take part in the softmax without a value, or null
  const void* plan = nullptr;    // written by plan_attention() for the same batch, earlier on this stream
  void* scratch = nullptr;
  // Launch as a programmatic dependent of the kernel before on this stream. That kernel writes no part of the plan, of
  // the batch's arrays or of the cache other than keys and values of this step's tokens, and lets this one start only
  // after its own griddepcontrol.wait, so that all kernels before it are done.
  bool overlap_previous = false;
};

// cudaErrorInvalidValue for a shape that no kernel serves. Looks at the current device; call it outside of the step.
cudaError_t prepare_attention(const AttentionShape& shape, const AttentionLimits& limits, AttentionSetup* setup);

cudaError_t plan_attention(const AttentionSetup& setup, const AttentionBatch& batch, const PlanOptions& options,
                           void* plan, cudaStream_t stream);

// Rows of all sequences whose query rows times group() are at most 16; leaves the others alone.
cudaError_t attention_decode(const AttentionSetup& setup, const AttentionBatch& batch, const AttentionCall& call,
                             cudaStream_t stream);
// Rows of all other sequences.
cudaError_t attention_prefill(const AttentionSetup& setup, const AttentionBatch& batch, const AttentionCall& call,
                              cudaStream_t stream);

}  // namespace mhub::kernels::cuda
