// SPDX-License-Identifier: Apache-2.0
#include "qwen2.h"

#include <fmt/format.h>

#include "llama.h"

namespace mhub::model {

std::vector<WeightSpec> Qwen2::weights(const formats::ModelConfig& c) {
  const int64_t hidden = c.hidden_size, intermediate = c.intermediate_size;
  const int64_t q_size = c.num_attention_heads * c.head_dim, kv_size = c.num_key_value_heads * c.head_dim;
  WeightTable table;
  table.embedding("model.embed_tokens.weight", c.vocab_size, hidden);
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = fmt::format("model.layers.{}.", i);
    table.vector(layer + "input_layernorm.weight", hidden);
    table.linear(layer + "self_attn.q_proj", q_size, hidden, true);
    table.linear(layer + "self_attn.k_proj", kv_size, hidden, true);
    table.linear(layer + "self_attn.v_proj", kv_size, hidden, true);
    table.linear(layer + "self_attn.o_proj", hidden, q_size, false);
    table.vector(layer + "post_attention_layernorm.weight", hidden);
    table.linear(layer + "mlp.gate_proj", intermediate, hidden, false);
    table.linear(layer + "mlp.up_proj", intermediate, hidden, false);
    table.linear(layer + "mlp.down_proj", hidden, intermediate, false);
  }
  table.vector("model.norm.weight", hidden);
  table.optional_linear("lm_head", c.vocab_size, hidden);
  return std::move(table).take();
}

Result<std::unique_ptr<CausalLM>> Qwen2::load(const formats::ModelConfig& config, const WeightLoader& loader) {
  return Llama::load(config, loader);  // a Linear has a bias where the table above declares one
}

}  // namespace mhub::model
