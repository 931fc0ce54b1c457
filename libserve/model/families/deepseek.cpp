// SPDX-License-Identifier: Apache-2.0
// DeepSeek V2, V3 and R1: latent attention, and experts chosen within groups beside a shared one. V2 scores experts by
// softmax, V3 by sigmoid with a correction that chooses but does not weigh.
#include <cmath>

#include "families/families.h"
#include "layers/decoder.h"
#include "layers/latent_attention.h"
#include "layers/load_layers.h"
#include "layers/rope.h"
#include "weights/family_tables.h"

namespace mhub::model {
namespace {

const ExpertNames kNames{.shared = "shared_experts"};

void add_latent_attention(WeightTable& table, const formats::ModelConfig& c, const std::string& prefix) {
  const formats::LatentAttentionConfig& l = c.latent;
  const int64_t heads = c.num_attention_heads, q_size = heads * c.head_dim;
  if (l.q_lora_rank > 0) {
    table.linear(prefix + "q_a_proj", l.q_lora_rank, c.hidden_size, c.attention_bias);
    table.vector(prefix + "q_a_layernorm.weight", l.q_lora_rank);
    table.linear(prefix + "q_b_proj", q_size, l.q_lora_rank, false);
  } else {
    table.linear(prefix + "q_proj", q_size, c.hidden_size, false);
  }
  table.linear(prefix + "kv_a_proj_with_mqa", l.kv_lora_rank + l.qk_rope_head_dim, c.hidden_size, c.attention_bias);
  table.vector(prefix + "kv_a_layernorm.weight", l.kv_lora_rank);
  table.float_matrix(prefix + "kv_b_proj.weight", heads * (l.qk_nope_head_dim + l.v_head_dim), l.kv_lora_rank);
  table.linear(prefix + "o_proj", c.hidden_size, heads * l.v_head_dim, c.attention_bias);
}

// kv_b_proj's rows are, per head, those that make a key (nope) and those that make a value from the latent.
Result<void> load_absorbed(const formats::ModelConfig& c, const WeightLoader& loader, const std::string& module,
                           LatentAttention& attention) {
  const auto nope = static_cast<size_t>(c.latent.qk_nope_head_dim), value = static_cast<size_t>(c.latent.v_head_dim);
  const auto rank = static_cast<size_t>(c.latent.kv_lora_rank);
  const std::vector<float> all = loader.floats(module + ".weight");
  std::vector<float> transposed(rank * nope);
  for (size_t h = 0; h < static_cast<size_t>(c.num_attention_heads); ++h) {
    const float* keys = all.data() + h * (nope + value) * rank;
    for (size_t i = 0; i < nope; ++i) {
      for (size_t j = 0; j < rank; ++j) transposed[j * nope + i] = keys[i * rank + j];
    }
    MHUB_TRY(attention.key_heads.emplace_back(),
             loader.matrix(module, transposed.data(), c.latent.kv_lora_rank, c.latent.qk_nope_head_dim));
    MHUB_TRY(attention.value_heads.emplace_back(),
             loader.matrix(module, keys + nope * rank, c.latent.v_head_dim, c.latent.kv_lora_rank));
  }
  return {};
}

Result<std::unique_ptr<LatentAttention>> load_latent_attention(const formats::ModelConfig& c,
                                                               const WeightLoader& loader, const std::string& prefix) {
  const formats::LatentAttentionConfig& l = c.latent;
  auto attention = std::make_unique<LatentAttention>();
  if (l.q_lora_rank > 0) {
    MHUB_TRY(attention->q_a_proj, loader.linear({prefix + "q_a_proj"}));
    MHUB_TRY(attention->q_a_layernorm, loader.rms_norm(prefix + "q_a_layernorm", c.rms_norm_eps));
    MHUB_TRY(attention->q_b_proj, loader.linear({prefix + "q_b_proj"}));
  } else {
    MHUB_TRY(attention->q_b_proj, loader.linear({prefix + "q_proj"}));
  }
  MHUB_TRY(attention->kv_a_proj, loader.linear_rotated(prefix + "kv_a_proj_with_mqa", l.kv_lora_rank));
  MHUB_TRY(attention->kv_a_layernorm, loader.rms_norm(prefix + "kv_a_layernorm", c.rms_norm_eps));
  MHUB_CHECK_OK(load_absorbed(c, loader, prefix + "kv_b_proj", *attention));
  MHUB_TRY(attention->o_proj, loader.linear({prefix + "o_proj"}));
  attention->num_heads = c.num_attention_heads;
  attention->nope_dim = l.qk_nope_head_dim;
  attention->rope_dim = l.qk_rope_head_dim;
  attention->latent_dim = l.kv_lora_rank;
  attention->value_dim = l.v_head_dim;
  const double stretch = attention_stretch(c.rope_scaling);
  attention->options.scale = static_cast<float>(stretch * stretch / std::sqrt(static_cast<double>(c.head_dim)));
  return attention;
}

}  // namespace

std::vector<WeightSpec> deepseek_weights(const formats::ModelConfig& c) {
  WeightTable table;
  add_vocabulary(table, c);
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = layer_prefix(i), mlp = layer + "mlp.";
    table.vector(layer + "input_layernorm.weight", c.hidden_size);
    add_latent_attention(table, c, layer + "self_attn.");
    table.vector(layer + "post_attention_layernorm.weight", c.hidden_size);
    if (c.sparse(i)) {
      add_experts(table, c, mlp, kNames, false);
      if (c.experts.sigmoid_scores) table.vector(mlp + "gate.e_score_correction_bias", c.experts.num_experts);
    } else {
      add_gated_mlp(table, mlp, c.hidden_size, c.intermediate_size, false);
    }
  }
  return std::move(table).take();
}

Result<std::unique_ptr<CausalLM>> load_deepseek(const formats::ModelConfig& c, const WeightLoader& loader) {
  return PreNormDecoder::load(c, loader,
                              [&](PreNormDecoder::Layer& layer, int64_t i, const std::string& prefix) -> Result<void> {
                                MHUB_TRY(layer.self_attn, load_latent_attention(c, loader, prefix + "self_attn."));
                                if (!c.sparse(i)) {
                                  MHUB_TRY(layer.mlp, load_gated_mlp(loader, prefix + "mlp."));
                                  return {};
                                }
                                MHUB_TRY(auto mlp, load_expert_mlp(c, loader, prefix + "mlp.", kNames));
                                if (mlp->routing.renormalize && !mlp->routing.sigmoid)
                                  mlp->routing.scale = 1.0f;  // V2 does one or the other
                                layer.mlp = std::move(mlp);
                                return {};
                              });
}

}  // namespace mhub::model
