// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "causal_lm.h"
#include "weights/weight_loader.h"

namespace mhub::model {

// LlamaForCausalLM, and MistralForCausalLM without a sliding window (the same graph).
class Llama final : public CausalLM {
 public:
  static std::vector<WeightSpec> weights(const formats::ModelConfig& config);
  static Result<std::unique_ptr<CausalLM>> load(const formats::ModelConfig& config, const WeightLoader& loader);

  kernels::TensorView forward(const StepContext& step) const override;
  void compute_logits(kernels::Backend& backend, kernels::TensorView out, kernels::TensorView hidden) const override;

 private:
  struct DecoderLayer {
    RmsNorm input_layernorm;
    Attention self_attn;
    RmsNorm post_attention_layernorm;
    GatedMlp mlp;
  };
  std::unique_ptr<kernels::PreparedWeight> embed_tokens_;
  std::vector<DecoderLayer> layers_;
  RmsNorm norm_;
  Linear lm_head_;  // without weight when tied to embed_tokens_
};

}  // namespace mhub::model
