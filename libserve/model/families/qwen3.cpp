// SPDX-License-Identifier: Apache-2.0
// Qwen3: Llama's graph, and each query and key head normed by itself before the rotation.
#include "families/families.h"
#include "layers/decoder.h"
#include "layers/load_layers.h"
#include "weights/family_tables.h"

namespace mhub::model {

std::vector<WeightSpec> qwen3_weights(const formats::ModelConfig& c) {
  WeightTable table;
  add_vocabulary(table, c);
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = layer_prefix(i);
    table.vector(layer + "input_layernorm.weight", c.hidden_size);
    add_attention(table, c, layer + "self_attn.", {.qkv = c.attention_bias, .o = c.attention_bias});
    table.vector(layer + "self_attn.q_norm.weight", c.head_dim);
    table.vector(layer + "self_attn.k_norm.weight", c.head_dim);
    table.vector(layer + "post_attention_layernorm.weight", c.hidden_size);
    add_gated_mlp(table, layer + "mlp.", c.hidden_size, c.intermediate_size, false);
  }
  return std::move(table).take();
}

Result<std::unique_ptr<CausalLM>> load_qwen3(const formats::ModelConfig& c, const WeightLoader& loader) {
  return PreNormDecoder::load(
      c, loader, [&](PreNormDecoder::Layer& layer, int64_t i, const std::string& prefix) -> Result<void> {
        MHUB_TRY(auto attention, load_attention(c, loader, prefix + "self_attn.", i));
        MHUB_CHECK_OK(
            load_qk_norm(loader, prefix + "self_attn.", c.rms_norm_eps, Attention::QkNorm::kHeads, *attention));
        layer.self_attn = std::move(attention);
        MHUB_TRY(layer.mlp, load_gated_mlp(loader, prefix + "mlp."));
        return {};
      });
}

}  // namespace mhub::model
