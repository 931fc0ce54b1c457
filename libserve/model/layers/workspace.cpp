// SPDX-License-Identifier: Apache-2.0
#include "layers/workspace.h"

#include <fmt/format.h>

#include <algorithm>

#include "mhub/base/bytes.h"

namespace mhub::model {
namespace {

constexpr uint64_t kLogitsBytes = 64u << 20;  // logits are made in chunks of rows of about this size
constexpr int64_t kAlignFloats = 16;

int64_t padded(int64_t floats) {
  return (floats + kAlignFloats - 1) / kAlignFloats * kAlignFloats;
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

kernels::TensorView view(float* data, int64_t rows, int64_t cols) {
  return {data, kernels::DType::kF32, rows, cols, padded(cols)};
}

}  // namespace

Workspace::Size Workspace::size(const formats::ModelConfig& config, int64_t max_num_batched_tokens) {
  const Widths w = widths_of(config);
  Size size;
  size.max_tokens = max_num_batched_tokens;
  const auto row_bytes = static_cast<uint64_t>(padded(w.vocab)) * sizeof(float);
  size.max_logit_rows = std::clamp<int64_t>(static_cast<int64_t>(kLogitsBytes / row_bytes), 8, 512);
  size.max_logit_rows = std::min(size.max_logit_rows, max_num_batched_tokens);
  const int64_t floats = size.max_tokens * (3 * padded(w.hidden) + w.scratch()) +
                         size.max_logit_rows * (padded(w.hidden) + padded(w.vocab));
  size.bytes = static_cast<uint64_t>(floats) * sizeof(float);
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
  float* next = static_cast<float*>(ws.memory_->data());
  const auto take = [&next](int64_t rows, int64_t cols) {
    const auto taken = view(next, rows, cols);
    next += rows * padded(cols);
    return taken;
  };
  ws.residual = take(size.max_tokens, w.hidden);
  ws.normed = take(size.max_tokens, w.hidden);
  ws.output = take(size.max_tokens, w.hidden);
  ws.sampled = take(size.max_logit_rows, w.hidden);
  ws.logits = take(size.max_logit_rows, w.vocab);
  float* const scratch = next;
  ws.qkv = take(size.max_tokens, w.qkv);
  ws.attention = take(size.max_tokens, w.attention);
  next = scratch;
  ws.gate_up = take(size.max_tokens, w.gate_up);
  ws.activated = take(size.max_tokens, w.activated);
  return ws;
}

}  // namespace mhub::model
