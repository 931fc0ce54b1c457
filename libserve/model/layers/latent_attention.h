// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "layers/layers.h"

namespace mhub::model {

// DeepSeek's multi-head latent attention in its absorbed form. The cache keeps one vector a token: the rotated key part
// that all heads share, then the normed latent, which is key and value at once. Queries are carried into the latent
// space (W_UK), what attention returns is carried out of it (W_UV).
struct LatentAttention final : SelfAttention {
  Linear q_a_proj;  // without weight where q_b_proj reads the hidden state (q_lora_rank null: q_proj)
  RmsNorm q_a_layernorm;
  Linear q_b_proj;   // [heads * (nope + rope), q_lora_rank or hidden_size]
  Linear kv_a_proj;  // [rope + latent, hidden_size]: kv_a_proj_with_mqa with its last rows first
  RmsNorm kv_a_layernorm;
  std::vector<std::unique_ptr<kernels::PreparedWeight>> key_heads;    // per head W_UK^T [latent, nope]
  std::vector<std::unique_ptr<kernels::PreparedWeight>> value_heads;  // per head W_UV [value, latent]
  Linear o_proj;
  int64_t num_heads = 0, nope_dim = 0, rope_dim = 0, latent_dim = 0, value_dim = 0;
  kernels::AttentionOptions options;

  void forward(const StepContext& step, kernels::TensorView out, kernels::TensorView x, int64_t layer) const override;
};

}  // namespace mhub::model
