// SPDX-License-Identifier: Apache-2.0
// Llama 2 and 3. Mistral (a sliding window) and Qwen2 (biases) have its graph, so load_llama serves them too.
#include "families/families.h"
#include "layers/decoder.h"
#include "layers/load_layers.h"
#include "weights/family_tables.h"

namespace mhub::model {

std::vector<WeightSpec> llama_weights(const formats::ModelConfig& c) {
  WeightTable table;
  add_vocabulary(table, c);
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = layer_prefix(i);
    table.vector(layer + "input_layernorm.weight", c.hidden_size);
    add_attention(table, c, layer + "self_attn.", {.qkv = c.attention_bias, .o = c.attention_bias});
    table.vector(layer + "post_attention_layernorm.weight", c.hidden_size);
    add_gated_mlp(table, layer + "mlp.", c.hidden_size, c.intermediate_size, c.mlp_bias);
  }
  return std::move(table).take();
}

Result<std::unique_ptr<CausalLM>> load_llama(const formats::ModelConfig& c, const WeightLoader& loader) {
  return PreNormDecoder::load(c, loader,
                              [&](PreNormDecoder::Layer& layer, int64_t i, const std::string& prefix) -> Result<void> {
                                MHUB_TRY(layer.self_attn, load_attention(c, loader, prefix + "self_attn.", i));
                                MHUB_TRY(layer.mlp, load_gated_mlp(loader, prefix + "mlp."));
                                return {};
                              });
}

}  // namespace mhub::model
