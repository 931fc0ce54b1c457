// SPDX-License-Identifier: Apache-2.0
// Qwen2 and Qwen2.5: Llama's graph with biases on q, k and v, none on o.
#include "families/families.h"
#include "layers/decoder.h"
#include "weights/family_tables.h"

namespace mhub::model {

std::vector<WeightSpec> qwen2_weights(const formats::ModelConfig& c) {
  WeightTable table;
  add_vocabulary(table, c);
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = layer_prefix(i);
    table.vector(layer + "input_layernorm.weight", c.hidden_size);
    add_attention(table, c, layer + "self_attn.", {.qkv = true});
    table.vector(layer + "post_attention_layernorm.weight", c.hidden_size);
    add_gated_mlp(table, layer + "mlp.", c.hidden_size, c.intermediate_size, false);
  }
  return std::move(table).take();
}

}  // namespace mhub::model
