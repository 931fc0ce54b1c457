// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "layers/decoder.h"
#include "layers/load_layers.h"

namespace mhub::model {

// The decoder of Gemma 2 and 3: attention and MLP are normed before and after, norms hold w of (1 + w), embeddings are
// scaled, gates are GELU.
class GemmaDecoder final : public CausalLM {
 public:
  static std::vector<WeightSpec> weights(const formats::ModelConfig& config, bool qk_norm);
  static Result<std::unique_ptr<CausalLM>> load(const formats::ModelConfig& config, const WeightLoader& loader,
                                                bool qk_norm);

  kernels::TensorView forward(const StepContext& step) const override;
  void compute_logits(kernels::Backend& backend, kernels::TensorView out, kernels::TensorView hidden) const override {
    vocabulary_.logits(backend, out, hidden);
  }

 private:
  struct Layer {
    RmsNorm input_layernorm, post_attention_layernorm, pre_feedforward_layernorm, post_feedforward_layernorm;
    std::unique_ptr<Attention> self_attn;
    std::unique_ptr<GatedMlp> mlp;
  };
  Vocabulary vocabulary_;
  std::vector<Layer> layers_;
  RmsNorm norm_;
};

}  // namespace mhub::model
