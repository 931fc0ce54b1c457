// SPDX-License-Identifier: Apache-2.0
#include "layers/load_layers.h"

#include <cmath>

namespace mhub::model {

Result<std::unique_ptr<Attention>> load_attention(const formats::ModelConfig& c, const WeightLoader& loader,
                                                  const std::string& prefix, int64_t index) {
  auto attention = std::make_unique<Attention>();
  if (loader.has(prefix + "qkv_proj.weight")) {
    MHUB_TRY(attention->qkv_proj, loader.linear({prefix + "qkv_proj"}));
  } else {
    MHUB_TRY(attention->qkv_proj, loader.linear({prefix + "q_proj", prefix + "k_proj", prefix + "v_proj"}));
  }
  MHUB_TRY(attention->o_proj, loader.linear({prefix + "o_proj"}));
  attention->num_attention_heads = c.num_attention_heads;
  attention->num_key_value_heads = c.num_key_value_heads;
  attention->head_dim = c.head_dim;
  const auto scaled_by = static_cast<float>(c.query_pre_attn_scalar.value_or(static_cast<double>(c.head_dim)));
  attention->options.scale = 1.0f / std::sqrt(scaled_by);
  attention->options.soft_cap = static_cast<float>(c.attn_logit_softcapping);
  if (c.slides(index)) {
    attention->options.window = *c.sliding_window;
    attention->local_rope = true;
  }
  return attention;
}

Result<void> load_qk_norm(const WeightLoader& loader, const std::string& prefix, double eps, Attention::QkNorm kind,
                          Attention& attention) {
  attention.qk_norm = kind;
  MHUB_TRY(attention.q_norm, loader.rms_norm(prefix + "q_norm", eps));
  MHUB_TRY(attention.k_norm, loader.rms_norm(prefix + "k_norm", eps));
  return {};
}

Result<std::unique_ptr<GatedMlp>> load_gated_mlp(const WeightLoader& loader, const std::string& prefix) {
  auto mlp = std::make_unique<GatedMlp>();
  if (loader.has(prefix + "gate_up_proj.weight")) {
    MHUB_TRY(mlp->gate_up_proj, loader.linear({prefix + "gate_up_proj"}));
  } else {
    MHUB_TRY(mlp->gate_up_proj, loader.linear({prefix + "gate_proj", prefix + "up_proj"}));
  }
  MHUB_TRY(mlp->down_proj, loader.linear({prefix + "down_proj"}));
  return mlp;
}

Result<std::unique_ptr<ExpertMlp>> load_expert_mlp(const formats::ModelConfig& config, const WeightLoader& loader,
                                                   const std::string& prefix, const ExpertNames& names) {
  const formats::ExpertsConfig& e = config.experts;
  auto mlp = std::make_unique<ExpertMlp>();
  MHUB_TRY(mlp->router, loader.float_linear(prefix + names.router));
  const std::string bias = prefix + names.router + ".e_score_correction_bias";
  if (loader.has(bias)) {
    MHUB_TRY(mlp->correction_bias, loader.vector(bias));
  }
  const std::string experts = prefix + "experts.";
  MHUB_TRY(auto gate_up, loader.experts(experts, {names.gate_proj, names.up_proj}, e.num_experts));
  MHUB_TRY(auto down, loader.experts(experts, {names.down_proj}, e.num_experts));
  mlp->gate_up = std::move(gate_up.weight);
  mlp->gate_up_bias = std::move(gate_up.bias);
  mlp->down = std::move(down.weight);
  mlp->down_bias = std::move(down.bias);
  mlp->routing.top_k = e.num_experts_per_tok;
  mlp->routing.sigmoid = e.sigmoid_scores;
  mlp->routing.groups = e.n_group;
  mlp->routing.kept_groups = e.topk_group;
  mlp->routing.group_by_top_two = e.sigmoid_scores;
  mlp->routing.renormalize = e.norm_topk_prob;
  mlp->routing.scale = static_cast<float>(e.routed_scaling_factor);
  if (e.shared_intermediate_size > 0) {
    MHUB_TRY(auto shared, load_gated_mlp(loader, prefix + names.shared + "."));
    mlp->shared = std::move(*shared);
    if (loader.has(prefix + names.shared + "_gate.weight")) {
      MHUB_TRY(mlp->shared_gate, loader.float_linear(prefix + names.shared + "_gate"));
    }
  }
  return mlp;
}

}  // namespace mhub::model
