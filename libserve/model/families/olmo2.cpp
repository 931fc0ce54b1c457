// SPDX-License-Identifier: Apache-2.0
// OLMo 2: attention and MLP read the residual as it is and are normed afterwards; queries and keys are normed whole.
#include "families/families.h"
#include "layers/decoder.h"
#include "layers/load_layers.h"
#include "weights/family_tables.h"

namespace mhub::model {
namespace {

class Olmo2 final : public CausalLM {
 public:
  struct Layer {
    std::unique_ptr<Attention> self_attn;
    RmsNorm post_attention_layernorm;
    std::unique_ptr<GatedMlp> mlp;
    RmsNorm post_feedforward_layernorm;
  };
  Vocabulary vocabulary;
  std::vector<Layer> layers;
  RmsNorm norm;

  kernels::TensorView forward(const StepContext& step) const override {
    const int64_t tokens = step.batch.num_tokens();
    const auto residual = step.workspace.residual.rows_at(0, tokens);  // [T, hidden_size]
    const auto y = step.workspace.output.rows_at(0, tokens);           // [T, hidden_size]
    vocabulary.embed(step.backend, residual, step.batch.tokens);
    for (size_t i = 0; i < layers.size(); ++i) {
      const Layer& layer = layers[i];
      layer.self_attn->forward(step, y, residual, static_cast<int64_t>(i));
      layer.post_attention_layernorm.forward(step.backend, y, y);
      step.backend.add(residual, y);
      layer.mlp->forward(step, y, residual);
      layer.post_feedforward_layernorm.forward(step.backend, y, y);
      step.backend.add(residual, y);
    }
    norm.forward(step.backend, y, residual);
    return y;
  }
  void compute_logits(kernels::Backend& backend, kernels::TensorView out, kernels::TensorView hidden) const override {
    vocabulary.logits(backend, out, hidden);
  }
};

}  // namespace

std::vector<WeightSpec> olmo2_weights(const formats::ModelConfig& c) {
  WeightTable table;
  add_vocabulary(table, c);
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = layer_prefix(i);
    add_attention(table, c, layer + "self_attn.", {.qkv = c.attention_bias, .o = c.attention_bias});
    table.vector(layer + "self_attn.q_norm.weight", c.num_attention_heads * c.head_dim);
    table.vector(layer + "self_attn.k_norm.weight", c.num_key_value_heads * c.head_dim);
    table.vector(layer + "post_attention_layernorm.weight", c.hidden_size);
    add_gated_mlp(table, layer + "mlp.", c.hidden_size, c.intermediate_size, false);
    table.vector(layer + "post_feedforward_layernorm.weight", c.hidden_size);
  }
  return std::move(table).take();
}

Result<std::unique_ptr<CausalLM>> load_olmo2(const formats::ModelConfig& c, const WeightLoader& loader) {
  auto model = std::make_unique<Olmo2>();
  MHUB_TRY(model->vocabulary, Vocabulary::load(c, loader));
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string prefix = layer_prefix(i), attn = prefix + "self_attn.";
    Olmo2::Layer& layer = model->layers.emplace_back();
    MHUB_TRY(layer.self_attn, load_attention(c, loader, attn, i));
    MHUB_CHECK_OK(load_qk_norm(loader, attn, c.rms_norm_eps, Attention::QkNorm::kWhole, *layer.self_attn));
    MHUB_TRY(layer.post_attention_layernorm, loader.rms_norm(prefix + "post_attention_layernorm", c.rms_norm_eps));
    MHUB_TRY(layer.mlp, load_gated_mlp(loader, prefix + "mlp."));
    MHUB_TRY(layer.post_feedforward_layernorm, loader.rms_norm(prefix + "post_feedforward_layernorm", c.rms_norm_eps));
  }
  MHUB_TRY(model->norm, loader.rms_norm("model.norm", c.rms_norm_eps));
  return std::unique_ptr<CausalLM>(std::move(model));
}

}  // namespace mhub::model
