// SPDX-License-Identifier: Apache-2.0
// Qwen2-MoE and Qwen3-MoE: the attention of Qwen2 and Qwen3, and experts in the layers that the config names sparse.
// Qwen2-MoE adds an expert that every token takes, weighted by a sigmoid gate.
#include "families/families.h"
#include "layers/decoder.h"
#include "layers/load_layers.h"
#include "weights/family_tables.h"

namespace mhub::model {
namespace {

const ExpertNames kQwen2Names{.shared = "shared_expert"};
const ExpertNames kQwen3Names{};

std::vector<WeightSpec> weights(const formats::ModelConfig& c, const ExpertNames& names, AttentionBiases biases,
                                bool qk_norm) {
  WeightTable table;
  add_vocabulary(table, c);
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = layer_prefix(i), mlp = layer + "mlp.";
    table.vector(layer + "input_layernorm.weight", c.hidden_size);
    add_attention(table, c, layer + "self_attn.", biases);
    if (qk_norm) {
      table.vector(layer + "self_attn.q_norm.weight", c.head_dim);
      table.vector(layer + "self_attn.k_norm.weight", c.head_dim);
    }
    table.vector(layer + "post_attention_layernorm.weight", c.hidden_size);
    if (c.sparse(i)) {
      add_experts(table, c, mlp, names, false);
      if (!names.shared.empty()) table.float_matrix(mlp + names.shared + "_gate.weight", 1, c.hidden_size);
    } else {
      add_gated_mlp(table, mlp, c.hidden_size, c.intermediate_size, false);
    }
  }
  return std::move(table).take();
}

Result<std::unique_ptr<CausalLM>> load(const formats::ModelConfig& c, const WeightLoader& loader,
                                       const ExpertNames& names, bool qk_norm) {
  return PreNormDecoder::load(
      c, loader, [&](PreNormDecoder::Layer& layer, int64_t i, const std::string& prefix) -> Result<void> {
        const std::string attn = prefix + "self_attn.", mlp = prefix + "mlp.";
        MHUB_TRY(auto attention, load_attention(c, loader, attn, i));
        if (qk_norm) MHUB_CHECK_OK(load_qk_norm(loader, attn, c.rms_norm_eps, Attention::QkNorm::kHeads, *attention));
        layer.self_attn = std::move(attention);
        if (c.sparse(i)) {
          MHUB_TRY(layer.mlp, load_expert_mlp(c, loader, mlp, names));
        } else {
          MHUB_TRY(layer.mlp, load_gated_mlp(loader, mlp));
        }
        return {};
      });
}

}  // namespace

std::vector<WeightSpec> qwen2_moe_weights(const formats::ModelConfig& c) {
  return weights(c, kQwen2Names, {.qkv = c.attention_bias}, false);
}

std::vector<WeightSpec> qwen3_moe_weights(const formats::ModelConfig& c) {
  return weights(c, kQwen3Names, {.qkv = c.attention_bias, .o = c.attention_bias}, true);
}

Result<std::unique_ptr<CausalLM>> load_qwen2_moe(const formats::ModelConfig& c, const WeightLoader& loader) {
  return load(c, loader, kQwen2Names, false);
}

Result<std::unique_ptr<CausalLM>> load_qwen3_moe(const formats::ModelConfig& c, const WeightLoader& loader) {
  return load(c, loader, kQwen3Names, true);
}

}  // namespace mhub::model
