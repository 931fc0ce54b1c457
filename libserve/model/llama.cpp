// SPDX-License-Identifier: Apache-2.0
#include "llama.h"

#include <fmt/format.h>

namespace mhub::model {
namespace {

std::string layer_prefix(int64_t layer) {
  return fmt::format("model.layers.{}.", layer);
}

}  // namespace

std::vector<WeightSpec> Llama::weights(const formats::ModelConfig& c) {
  const int64_t hidden = c.hidden_size, intermediate = c.intermediate_size;
  const int64_t q_size = c.num_attention_heads * c.head_dim, kv_size = c.num_key_value_heads * c.head_dim;
  WeightTable table;
  table.embedding("model.embed_tokens.weight", c.vocab_size, hidden);
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = layer_prefix(i);
    table.vector(layer + "input_layernorm.weight", hidden);
    table.linear(layer + "self_attn.q_proj", q_size, hidden, c.attention_bias);
    table.linear(layer + "self_attn.k_proj", kv_size, hidden, c.attention_bias);
    table.linear(layer + "self_attn.v_proj", kv_size, hidden, c.attention_bias);
    table.linear(layer + "self_attn.o_proj", hidden, q_size, c.attention_bias);
    table.vector(layer + "post_attention_layernorm.weight", hidden);
    table.linear(layer + "mlp.gate_proj", intermediate, hidden, c.mlp_bias);
    table.linear(layer + "mlp.up_proj", intermediate, hidden, c.mlp_bias);
    table.linear(layer + "mlp.down_proj", hidden, intermediate, c.mlp_bias);
  }
  table.vector("model.norm.weight", hidden);
  table.optional_linear("lm_head", c.vocab_size, hidden);
  return std::move(table).take();
}

Result<std::unique_ptr<CausalLM>> Llama::load(const formats::ModelConfig& c, const WeightLoader& loader) {
  auto model = std::make_unique<Llama>();
  MHUB_TRY(model->embed_tokens_, loader.embedding("model.embed_tokens"));
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = layer_prefix(i), attn = layer + "self_attn.", mlp = layer + "mlp.";
    DecoderLayer& l = model->layers_.emplace_back();
    MHUB_TRY(l.input_layernorm, loader.rms_norm(layer + "input_layernorm", c.rms_norm_eps));
    MHUB_TRY(l.self_attn.qkv_proj, loader.linear({attn + "q_proj", attn + "k_proj", attn + "v_proj"}));
    MHUB_TRY(l.self_attn.o_proj, loader.linear({attn + "o_proj"}));
    l.self_attn.num_attention_heads = c.num_attention_heads;
    l.self_attn.num_key_value_heads = c.num_key_value_heads;
    l.self_attn.head_dim = c.head_dim;
    MHUB_TRY(l.post_attention_layernorm, loader.rms_norm(layer + "post_attention_layernorm", c.rms_norm_eps));
    MHUB_TRY(l.mlp.gate_up_proj, loader.linear({mlp + "gate_proj", mlp + "up_proj"}));
    MHUB_TRY(l.mlp.down_proj, loader.linear({mlp + "down_proj"}));
  }
  MHUB_TRY(model->norm_, loader.rms_norm("model.norm", c.rms_norm_eps));
  if (loader.has("lm_head.weight")) {
    MHUB_TRY(model->lm_head_, loader.linear({"lm_head"}));
  }
  return std::unique_ptr<CausalLM>(std::move(model));
}

kernels::TensorView Llama::forward(const StepContext& step) const {
  const int64_t tokens = step.batch.num_tokens();
  const auto residual = step.workspace.residual.rows_at(0, tokens);  // [T, hidden_size]
  const auto x = step.workspace.normed.rows_at(0, tokens);           // [T, hidden_size]
  const auto y = step.workspace.output.rows_at(0, tokens);           // [T, hidden_size]
  step.backend.embedding(residual, step.batch.tokens, *embed_tokens_);
  layers_.front().input_layernorm.forward(step.backend, x, residual);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const DecoderLayer& layer = layers_[i];
    layer.self_attn.forward(step, y, x, static_cast<int64_t>(i));
    layer.post_attention_layernorm.add_forward(step.backend, x, residual, y);
    layer.mlp.forward(step, y, x);
    const RmsNorm& next = i + 1 < layers_.size() ? layers_[i + 1].input_layernorm : norm_;
    next.add_forward(step.backend, x, residual, y);
  }
  return x;
}

void Llama::compute_logits(kernels::Backend& backend, kernels::TensorView out, kernels::TensorView hidden) const {
  if (lm_head_.weight)
    lm_head_.forward(backend, out, hidden);
  else
    backend.linear(out, hidden, *embed_tokens_, nullptr);
}

}  // namespace mhub::model
