// SPDX-License-Identifier: Apache-2.0
#include "families/gemma.h"

#include <cmath>

#include "families/families.h"
#include "weights/family_tables.h"

namespace mhub::model {

std::vector<WeightSpec> GemmaDecoder::weights(const formats::ModelConfig& c, bool qk_norm) {
  WeightTable table;
  add_vocabulary(table, c);
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = layer_prefix(i);
    for (const char* norm :
         {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"})
      table.vector(layer + norm + ".weight", c.hidden_size);
    add_attention(table, c, layer + "self_attn.", {.qkv = c.attention_bias, .o = c.attention_bias});
    if (qk_norm) {
      table.vector(layer + "self_attn.q_norm.weight", c.head_dim);
      table.vector(layer + "self_attn.k_norm.weight", c.head_dim);
    }
    add_gated_mlp(table, layer + "mlp.", c.hidden_size, c.intermediate_size, false);
  }
  return std::move(table).take();
}

Result<std::unique_ptr<CausalLM>> GemmaDecoder::load(const formats::ModelConfig& c, const WeightLoader& loader,
                                                     bool qk_norm) {
  auto model = std::make_unique<GemmaDecoder>();
  const auto norm = [&](const std::string& module) { return loader.rms_norm_of_one(module, c.rms_norm_eps); };
  MHUB_TRY(model->vocabulary_, Vocabulary::load(c, loader));
  model->vocabulary_.embedding_scale = loader.rounded_to_dtype(std::sqrt(static_cast<float>(c.hidden_size)));
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string prefix = layer_prefix(i), attn = prefix + "self_attn.";
    Layer& layer = model->layers_.emplace_back();
    MHUB_TRY(layer.input_layernorm, norm(prefix + "input_layernorm"));
    MHUB_TRY(layer.post_attention_layernorm, norm(prefix + "post_attention_layernorm"));
    MHUB_TRY(layer.pre_feedforward_layernorm, norm(prefix + "pre_feedforward_layernorm"));
    MHUB_TRY(layer.post_feedforward_layernorm, norm(prefix + "post_feedforward_layernorm"));
    MHUB_TRY(layer.self_attn, load_attention(c, loader, attn, i));
    if (qk_norm) {
      layer.self_attn->qk_norm = Attention::QkNorm::kHeads;
      MHUB_TRY(layer.self_attn->q_norm, norm(attn + "q_norm"));
      MHUB_TRY(layer.self_attn->k_norm, norm(attn + "k_norm"));
    }
    MHUB_TRY(layer.mlp, load_gated_mlp(loader, prefix + "mlp."));
    layer.mlp->activation.kind = kernels::Activation::kGeluTanh;
  }
  MHUB_TRY(model->norm_, norm("model.norm"));
  return std::unique_ptr<CausalLM>(std::move(model));
}

kernels::TensorView GemmaDecoder::forward(const StepContext& step) const {
  const int64_t tokens = step.batch.num_tokens();
  const auto residual = step.workspace.residual.rows_at(0, tokens);  // [T, hidden_size]
  const auto x = step.workspace.normed.rows_at(0, tokens);           // [T, hidden_size]
  const auto y = step.workspace.output.rows_at(0, tokens);           // [T, hidden_size]
  vocabulary_.embed(step.backend, residual, step.batch.tokens);
  layers_.front().input_layernorm.forward(step.backend, x, residual);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    layer.self_attn->forward(step, y, x, static_cast<int64_t>(i));
    layer.post_attention_layernorm.forward(step.backend, y, y);
    layer.pre_feedforward_layernorm.add_forward(step.backend, x, residual, y);
    layer.mlp->forward(step, y, x);
    layer.post_feedforward_layernorm.forward(step.backend, y, y);
    const RmsNorm& next = i + 1 < layers_.size() ? layers_[i + 1].input_layernorm : norm_;
    next.add_forward(step.backend, x, residual, y);
  }
  return x;
}

}  // namespace mhub::model
