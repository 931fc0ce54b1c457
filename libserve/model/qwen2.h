// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "causal_lm.h"
#include "weights/weight_loader.h"

namespace mhub::model {

// Qwen2ForCausalLM (Qwen2 and Qwen2.5). Its graph is Llama's; its weights differ: biases on q, k and v, none on o.
struct Qwen2 {
  static std::vector<WeightSpec> weights(const formats::ModelConfig& config);
  static Result<std::unique_ptr<CausalLM>> load(const formats::ModelConfig& config, const WeightLoader& loader);
};

}  // namespace mhub::model
