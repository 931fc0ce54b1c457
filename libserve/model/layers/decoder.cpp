// SPDX-License-Identifier: Apache-2.0
#include "layers/decoder.h"

#include <fmt/format.h>

namespace mhub::model {

std::string layer_prefix(int64_t layer) {
  return fmt::format("model.layers.{}.", layer);
}

Result<Vocabulary> Vocabulary::load(const formats::ModelConfig& config, const WeightLoader& loader) {
  Vocabulary vocabulary;
  MHUB_TRY(vocabulary.embed_tokens, loader.embedding("model.embed_tokens"));
  if (loader.has("lm_head.weight")) {
    MHUB_TRY(vocabulary.lm_head, loader.linear({"lm_head"}));
  }
  vocabulary.final_soft_cap = static_cast<float>(config.final_logit_softcapping);
  return vocabulary;
}

void Vocabulary::embed(kernels::Backend& backend, kernels::TensorView out, std::span<const int32_t> tokens) const {
  backend.embedding(out, tokens, *embed_tokens);
  if (embedding_scale != 1.0f) backend.scale(out, embedding_scale);
}

void Vocabulary::logits(kernels::Backend& backend, kernels::TensorView out, kernels::TensorView hidden) const {
  if (lm_head.weight)
    lm_head.forward(backend, out, hidden);
  else
    backend.linear(out, hidden, *embed_tokens, nullptr);
  if (final_soft_cap > 0.0f) backend.soft_cap(out, final_soft_cap);
}

Result<std::unique_ptr<CausalLM>> PreNormDecoder::load(const formats::ModelConfig& config, const WeightLoader& loader,
                                                       const LoadLayer& load_layer) {
  auto model = std::make_unique<PreNormDecoder>();
  MHUB_TRY(model->vocabulary_, Vocabulary::load(config, loader));
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    const std::string prefix = layer_prefix(i);
    Layer& layer = model->layers_.emplace_back();
    MHUB_TRY(layer.input_layernorm, loader.rms_norm(prefix + "input_layernorm", config.rms_norm_eps));
    MHUB_TRY(layer.post_attention_layernorm, loader.rms_norm(prefix + "post_attention_layernorm", config.rms_norm_eps));
    MHUB_CHECK_OK(load_layer(layer, i, prefix));
  }
  MHUB_TRY(model->norm_, loader.rms_norm("model.norm", config.rms_norm_eps));
  return std::unique_ptr<CausalLM>(std::move(model));
}

kernels::TensorView PreNormDecoder::forward(const StepContext& step) const {
  const int64_t tokens = step.batch.num_tokens();
  const auto residual = step.workspace.residual.rows_at(0, tokens);  // [T, hidden_size]
  const auto x = step.workspace.normed.rows_at(0, tokens);           // [T, hidden_size]
  const auto y = step.workspace.output.rows_at(0, tokens);           // [T, hidden_size]
  vocabulary_.embed(step.backend, residual, step.batch.tokens);
  layers_.front().input_layernorm.forward(step.backend, x, residual);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    layer.self_attn->forward(step, y, x, static_cast<int64_t>(i));
    layer.post_attention_layernorm.add_forward(step.backend, x, residual, y);
    layer.mlp->forward(step, y, x);
    const RmsNorm& next = i + 1 < layers_.size() ? layers_[i + 1].input_layernorm : norm_;
    next.add_forward(step.backend, x, residual, y);
  }
  return x;
}

}  // namespace mhub::model
