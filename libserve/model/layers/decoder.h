// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "causal_lm.h"
#include "weights/weight_loader.h"

namespace mhub::model {

// Token embedding and output matrix around the layers of every family.
struct Vocabulary {
  std::unique_ptr<kernels::PreparedWeight> embed_tokens;
  Linear lm_head;  // without weight when tied to embed_tokens
  float embedding_scale = 1.0f;
  float final_soft_cap = 0.0f;  // of the logits; 0 = none

  static Result<Vocabulary> load(const formats::ModelConfig& config, const WeightLoader& loader);
  void embed(kernels::Backend& backend, kernels::TensorView out, std::span<const int32_t> tokens) const;
  void logits(kernels::Backend& backend, kernels::TensorView out, kernels::TensorView hidden) const;
};

// The decoder that most families are: in each layer x += attention(norm(x)), x += mlp(norm(x)).
class PreNormDecoder final : public CausalLM {
 public:
  struct Layer {
    RmsNorm input_layernorm;
    std::unique_ptr<SelfAttention> self_attn;
    RmsNorm post_attention_layernorm;
    std::unique_ptr<FeedForward> mlp;
  };
  // Fills in self_attn and mlp of layer `index`, whose tensors' names start with `prefix` ("model.layers.0.").
  using LoadLayer = std::function<Result<void>(Layer& layer, int64_t index, const std::string& prefix)>;
  static Result<std::unique_ptr<CausalLM>> load(const formats::ModelConfig& config, const WeightLoader& loader,
                                                const LoadLayer& load_layer);

  kernels::TensorView forward(const StepContext& step) const override;
  void compute_logits(kernels::Backend& backend, kernels::TensorView out, kernels::TensorView hidden) const override {
    vocabulary_.logits(backend, out, hidden);
  }

 private:
  Vocabulary vocabulary_;
  std::vector<Layer> layers_;
  RmsNorm norm_;
};

// "model.layers.3."
std::string layer_prefix(int64_t layer);

}  // namespace mhub::model
