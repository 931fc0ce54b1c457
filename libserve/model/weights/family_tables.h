// SPDX-License-Identifier: Apache-2.0
// The parts of weight tables that families share, by Hugging Face names.
#pragma once

#include "mhub/formats/model_config.h"
#include "weights/weight_table.h"

namespace mhub::model {

struct AttentionBiases {
  bool qkv = false, o = false;
};

// model.embed_tokens, model.norm and lm_head.
void add_vocabulary(WeightTable& table, const formats::ModelConfig& config);
// q_proj, k_proj, v_proj, o_proj under `prefix` ("model.layers.0.self_attn.").
void add_attention(WeightTable& table, const formats::ModelConfig& config, const std::string& prefix,
                   AttentionBiases biases);
// gate_proj, up_proj, down_proj under `prefix`.
void add_gated_mlp(WeightTable& table, const std::string& prefix, int64_t hidden, int64_t intermediate, bool bias);

// What the parts of a mixture of experts are called under its prefix.
struct ExpertNames {
  std::string router = "gate";
  std::string gate_proj = "gate_proj", up_proj = "up_proj", down_proj = "down_proj";  // of experts.N.
  std::string shared = "";                                                            // "shared_expert"; empty = none
};
// Router, experts and shared expert under `prefix` ("model.layers.0.mlp.").
void add_experts(WeightTable& table, const formats::ModelConfig& config, const std::string& prefix,
                 const ExpertNames& names, bool bias);

}  // namespace mhub::model
