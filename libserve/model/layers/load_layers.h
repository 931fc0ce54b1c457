// SPDX-License-Identifier: Apache-2.0
// The shared layers of a family, from the tensors under a prefix ("model.layers.0.self_attn.").
#pragma once

#include "layers/expert_mlp.h"
#include "layers/layers.h"
#include "weights/family_tables.h"
#include "weights/weight_loader.h"

namespace mhub::model {

// q_proj, k_proj, v_proj (or qkv_proj, fused) and o_proj; scale, window, soft cap and rope of layer `index`.
Result<std::unique_ptr<Attention>> load_attention(const formats::ModelConfig& config, const WeightLoader& loader,
                                                  const std::string& prefix, int64_t index);
// gate_proj and up_proj (or gate_up_proj, fused) and down_proj.
Result<std::unique_ptr<GatedMlp>> load_gated_mlp(const WeightLoader& loader, const std::string& prefix);

// q_norm and k_norm.
Result<void> load_qk_norm(const WeightLoader& loader, const std::string& prefix, double eps, Attention::QkNorm kind,
                          Attention& attention);
Result<std::unique_ptr<ExpertMlp>> load_expert_mlp(const formats::ModelConfig& config, const WeightLoader& loader,
                                                   const std::string& prefix, const ExpertNames& names);

}  // namespace mhub::model
