// SPDX-License-Identifier: Apache-2.0
// Mixtral: Mistral's attention, and of each layer's experts the best two, their softmax shares renormalized.
#include "families/families.h"
#include "layers/decoder.h"
#include "layers/load_layers.h"
#include "weights/family_tables.h"

namespace mhub::model {
namespace {
const ExpertNames kNames{.gate_proj = "w1", .up_proj = "w3", .down_proj = "w2"};
}

std::vector<WeightSpec> mixtral_weights(const formats::ModelConfig& c) {
  WeightTable table;
  add_vocabulary(table, c);
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = layer_prefix(i);
    table.vector(layer + "input_layernorm.weight", c.hidden_size);
    add_attention(table, c, layer + "self_attn.", {});
    table.vector(layer + "post_attention_layernorm.weight", c.hidden_size);
    add_experts(table, c, layer + "block_sparse_moe.", kNames, false);
  }
  return std::move(table).take();
}

Result<std::unique_ptr<CausalLM>> load_mixtral(const formats::ModelConfig& c, const WeightLoader& loader) {
  return PreNormDecoder::load(c, loader,
                              [&](PreNormDecoder::Layer& layer, int64_t i, const std::string& prefix) -> Result<void> {
                                MHUB_TRY(layer.self_attn, load_attention(c, loader, prefix + "self_attn.", i));
                                MHUB_TRY(layer.mlp, load_expert_mlp(c, loader, prefix + "block_sparse_moe.", kNames));
                                return {};
                              });
}

}  // namespace mhub::model
