// SPDX-License-Identifier: Apache-2.0
#include "weights/family_tables.h"

namespace mhub::model {

void add_vocabulary(WeightTable& table, const formats::ModelConfig& c) {
  table.embedding("model.embed_tokens.weight", c.vocab_size, c.hidden_size);
  table.vector("model.norm.weight", c.hidden_size);
  table.optional_linear("lm_head", c.vocab_size, c.hidden_size);
}

void add_attention(WeightTable& table, const formats::ModelConfig& c, const std::string& prefix,
                   AttentionBiases biases) {
  const int64_t q_size = c.num_attention_heads * c.head_dim, kv_size = c.num_key_value_heads * c.head_dim;
  table.linear(prefix + "q_proj", q_size, c.hidden_size, biases.qkv);
  table.linear(prefix + "k_proj", kv_size, c.hidden_size, biases.qkv);
  table.linear(prefix + "v_proj", kv_size, c.hidden_size, biases.qkv);
  table.linear(prefix + "o_proj", c.hidden_size, q_size, biases.o);
}

void add_gated_mlp(WeightTable& table, const std::string& prefix, int64_t hidden, int64_t intermediate, bool bias) {
  table.linear(prefix + "gate_proj", intermediate, hidden, bias);
  table.linear(prefix + "up_proj", intermediate, hidden, bias);
  table.linear(prefix + "down_proj", hidden, intermediate, bias);
}

void add_experts(WeightTable& table, const formats::ModelConfig& c, const std::string& prefix, const ExpertNames& names,
                 bool bias) {
  const formats::ExpertsConfig& e = c.experts;
  table.float_matrix(prefix + names.router + ".weight", e.num_experts, c.hidden_size);
  for (const auto* module : {&names.gate_proj, &names.up_proj})
    table.experts(prefix + "experts.", *module, e.num_experts, e.intermediate_size, c.hidden_size, bias);
  table.experts(prefix + "experts.", names.down_proj, e.num_experts, c.hidden_size, e.intermediate_size, bias);
  if (e.shared_intermediate_size > 0)
    add_gated_mlp(table, prefix + names.shared + ".", c.hidden_size, e.shared_intermediate_size, false);
}

}  // namespace mhub::model
