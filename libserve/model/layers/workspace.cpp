// SPDX-License-Identifier: Apache-2.0
#include "layers/workspace.h"

#include <fmt/format.h>

#include <algorithm>

#include "mhub/base/bytes.h"
#include "mhub/base/check.h"

namespace mhub::model {
namespace {

constexpr uint64_t kLogitsBytes = 64u << 20;  // logits are made in chunks of rows of about this size
constexpr int64_t kAlignElements = 16;

int64_t padded(int64_t elements) {
  return (elements + kAlignElements - 1) / kAlignElements * kAlignElements;
}

// Hands out consecutive views. Offsets are counted from a base that may be null.
class Arena {
 public:
  explicit Arena(std::byte* base) : base_(base) {}
  kernels::TensorView take(int64_t rows, int64_t cols, kernels::DType dtype) {
    std::byte* const data = base_ == nullptr ? nullptr : base_ + next_;
    next_ += static_cast<uint64_t>(rows * padded(cols)) * kernels::dtype_info(dtype).block_bytes;
    next_ = (next_ + kAlignBytes - 1) / kAlignBytes * kAlignBytes;
    most_ = std::max(most_, next_);
    return {data, dtype, rows, cols, padded(cols)};
  }
  uint64_t position() const { return next_; }
  void rewind(uint64_t position) { next_ = position; }
  uint64_t most() const { return most_; }

 private:
  static constexpr uint64_t kAlignBytes = 64;
  std::byte* base_;
  uint64_t next_ = 0, most_ = 0;
};

int64_t routing_words(int64_t tokens, int64_t top_k, int64_t experts) {
  return experts + 1 + 3 * tokens * top_k;
}

}  // namespace

uint64_t Workspace::lay_out(const formats::ModelConfig& c, const Size& size, std::byte* base) {
  const int64_t tokens = size.max_tokens, hidden = c.hidden_size, heads = c.num_attention_heads;
  const kernels::DType type = size.activation, f32 = kernels::DType::kF32;
  Arena arena(base);
  residual = arena.take(tokens, hidden, type);
  normed = arena.take(tokens, hidden, type);
  output = arena.take(tokens, hidden, type);
  sampled = arena.take(size.max_logit_rows, hidden, type);
  logits = arena.take(size.max_logit_rows, c.vocab_size, f32);
  const uint64_t scratch = arena.position();

  const formats::LatentAttentionConfig& latent = c.latent;
  if (latent.kv_lora_rank > 0) {
    const int64_t key = latent.kv_lora_rank + latent.qk_rope_head_dim;
    qkv = arena.take(tokens, heads * c.head_dim, type);
    attention = arena.take(tokens, heads * latent.v_head_dim, type);
    low_rank_query = arena.take(tokens, latent.q_lora_rank, type);
    latent_key = arena.take(tokens, key, type);
    latent_query = arena.take(tokens, heads * key, type);
    latent_output = arena.take(tokens, heads * latent.kv_lora_rank, type);
  } else {
    qkv = arena.take(tokens, (heads + 2 * c.num_key_value_heads) * c.head_dim, type);
    attention = arena.take(tokens, heads * c.head_dim, type);
  }

  arena.rewind(scratch);
  const formats::ExpertsConfig& experts = c.experts;
  const int64_t rows = tokens * experts.num_experts_per_tok,
                width = std::max(c.intermediate_size, experts.shared_intermediate_size);
  gate_up = arena.take(tokens, 2 * width, type);
  activated = arena.take(tokens, width, type);
  if (experts.num_experts > 0) {
    router_logits = arena.take(tokens, experts.num_experts, f32);
    expert_gate_up = arena.take(rows, 2 * experts.intermediate_size, type);
    expert_activated = arena.take(rows, experts.intermediate_size, type);
    expert_output = arena.take(rows, hidden, type);
    shared_output = arena.take(tokens, experts.shared_intermediate_size > 0 ? hidden : 0, type);
    shared_gate = arena.take(tokens, experts.shared_intermediate_size > 0 ? 1 : 0, f32);
    routing_ = arena.take(1, routing_words(tokens, experts.num_experts_per_tok, experts.num_experts), f32);
  }
  return arena.most();
}

kernels::ExpertRows Workspace::expert_rows(int64_t tokens, int64_t top_k, int64_t experts) const {
  MHUB_CHECK(routing_words(tokens, top_k, experts) <= routing_.cols);
  auto* const ints = static_cast<int32_t*>(routing_.data);
  const int64_t rows = tokens * top_k;
  return {tokens,
          top_k,
          experts,
          ints,
          ints + experts + 1,
          ints + experts + 1 + rows,
          static_cast<float*>(routing_.data) + experts + 1 + 2 * rows};
}

Workspace::Size Workspace::size(const formats::ModelConfig& config, const Need& need) {
  Size size;
  size.max_tokens = std::max(need.tokens, need.rows_at_once);
  size.activation = need.activation;
  const auto row_bytes = static_cast<uint64_t>(padded(config.vocab_size)) * sizeof(float);
  size.max_logit_rows = std::clamp<int64_t>(static_cast<int64_t>(kLogitsBytes / row_bytes), 8, 512);
  size.max_logit_rows = std::min(std::max(size.max_logit_rows, need.rows_at_once), size.max_tokens);
  size.bytes = Workspace().lay_out(config, size, nullptr);
  return size;
}

Result<Workspace> Workspace::make(kernels::Backend& backend, const formats::ModelConfig& config, const Size& size) {
  Workspace ws;
  ws.memory_ = backend.allocate(size.bytes);
  if (!ws.memory_) {
    return Error{ErrorCode::kDevice,
                 fmt::format("{} of workspace for {} tokens a step could not be allocated on {}",
                             human_bytes(size.bytes), size.max_tokens, backend.facts().name),
                 "lower --max-num-batched-tokens", ""};
  }
  ws.lay_out(config, size, static_cast<std::byte*>(ws.memory_->data()));
  return ws;
}

}  // namespace mhub::model
