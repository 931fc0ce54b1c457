// SPDX-License-Identifier: Apache-2.0
// The model families: each states its weights and how they become layers. One file per family.
#pragma once

#include <memory>
#include <vector>

#include "causal_lm.h"
#include "weights/weight_loader.h"

namespace mhub::model {

using WeightsOf = std::vector<WeightSpec>(const formats::ModelConfig& config);
using LoadOf = Result<std::unique_ptr<CausalLM>>(const formats::ModelConfig& config, const WeightLoader& loader);

WeightsOf llama_weights, qwen2_weights, qwen3_weights, phi3_weights, gemma2_weights, gemma3_weights, olmo2_weights;
WeightsOf mixtral_weights, qwen2_moe_weights, qwen3_moe_weights, gpt_oss_weights, deepseek_weights;
LoadOf load_llama, load_qwen3, load_gemma2, load_gemma3, load_olmo2;
LoadOf load_mixtral, load_qwen2_moe, load_qwen3_moe, load_gpt_oss, load_deepseek;

}  // namespace mhub::model
