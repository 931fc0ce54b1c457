// SPDX-License-Identifier: Apache-2.0
// Phi-3, Phi-3.5 and Phi-4-mini: Llama's graph from fused tensors; longrope and partial rotation are the rope's affair.
#include "families/families.h"
#include "layers/decoder.h"
#include "weights/family_tables.h"

namespace mhub::model {

std::vector<WeightSpec> phi3_weights(const formats::ModelConfig& c) {
  WeightTable table;
  add_vocabulary(table, c);
  const int64_t q_size = c.num_attention_heads * c.head_dim, kv_size = c.num_key_value_heads * c.head_dim;
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = layer_prefix(i);
    table.vector(layer + "input_layernorm.weight", c.hidden_size);
    table.linear(layer + "self_attn.qkv_proj", q_size + 2 * kv_size, c.hidden_size, false);
    table.linear(layer + "self_attn.o_proj", c.hidden_size, q_size, false);
    table.vector(layer + "post_attention_layernorm.weight", c.hidden_size);
    table.linear(layer + "mlp.gate_up_proj", 2 * c.intermediate_size, c.hidden_size, false);
    table.linear(layer + "mlp.down_proj", c.hidden_size, c.intermediate_size, false);
  }
  return std::move(table).take();
}

}  // namespace mhub::model
