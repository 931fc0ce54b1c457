// SPDX-License-Identifier: Apache-2.0
#include "layers/workspace.h"

#include <fmt/format.h>

#include <algorithm>

#include "mhub/base/bytes.h"

namespace mhub::model {
namespace {

constexpr uint64_t kLogitsBytes = 64u << 20;  // logits are made in chunks of rows of about this size
constexpr int64_t kAlignElements = 16;

int64_t padded(int64_t elements) {
  return (elements + kAlignElements - 1) / kAlignElements * kAlignElements;
}

struct Widths {
  int64_t hidden, qkv, attention, gate_up, activated, vocab;
  int64_t scratch() const { return std::max(padded(qkv) + padded(attention), padded(gate_up) + padded(activated)); }
};

Widths widths_of(const formats::ModelConfig& c) {
  return {c.hidden_size,
          (c.num_attention_heads + 2 * c.num_key_value_heads) * c.head_dim,
          c.num_attention_heads * c.head_dim,
          2 * c.intermediate_size,
          c.intermediate_size,
          c.vocab_size};
}

uint64_t size_of(kernels::DType dtype) {
  return kernels::dtype_info(dtype).block_bytes;
}

}  // namespace

Workspace::Size Workspace::size(const formats::ModelConfig& config, const Need& need) {
  const Widths w = widths_of(config);
  Size size;
  size.max_tokens = std::max(need.tokens, need.rows_at_once);
  size.activation = need.activation;
  const auto row_bytes = static_cast<uint64_t>(padded(w.vocab)) * sizeof(float);
  size.max_logit_rows = std::clamp<int64_t>(static_cast<int64_t>(kLogitsBytes / row_bytes), 8, 512);
  size.max_logit_rows = std::min(std::max(size.max_logit_rows, need.rows_at_once), size.max_tokens);
  const int64_t activations =
      size.max_tokens * (3 * padded(w.hidden) + w.scratch()) + size.max_logit_rows * padded(w.hidden);
  size.bytes = static_cast<uint64_t>(activations) * size_of(size.activation) +
               static_cast<uint64_t>(size.max_logit_rows * padded(w.vocab)) * sizeof(float);
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
  const Widths w = widths_of(config);
  auto* next = static_cast<std::byte*>(ws.memory_->data());
  const auto take = [&next](int64_t rows, int64_t cols, kernels::DType dtype) {
    const kernels::TensorView taken{next, dtype, rows, cols, padded(cols)};
    next += static_cast<uint64_t>(rows * padded(cols)) * size_of(dtype);
    return taken;
  };
  const kernels::DType activation = size.activation;
  ws.logits = take(size.max_logit_rows, w.vocab, kernels::DType::kF32);
  ws.residual = take(size.max_tokens, w.hidden, activation);
  ws.normed = take(size.max_tokens, w.hidden, activation);
  ws.output = take(size.max_tokens, w.hidden, activation);
  ws.sampled = take(size.max_logit_rows, w.hidden, activation);
  std::byte* const scratch = next;
  ws.qkv = take(size.max_tokens, w.qkv, activation);
  ws.attention = take(size.max_tokens, w.attention, activation);
  next = scratch;
  ws.gate_up = take(size.max_tokens, w.gate_up, activation);
  ws.activated = take(size.max_tokens, w.activated, activation);
  return ws;
}

}  // namespace mhub::model
