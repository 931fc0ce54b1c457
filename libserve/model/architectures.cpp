// SPDX-License-Identifier: Apache-2.0
#include "architectures.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "families/families.h"

namespace mhub::model {
namespace {

constexpr std::array<Architecture, 14> kArchitectures = {{
    {"LlamaForCausalLM", llama_weights, load_llama},
    {"MistralForCausalLM", llama_weights, load_llama},
    {"Qwen2ForCausalLM", qwen2_weights, load_llama},
    {"Qwen3ForCausalLM", qwen3_weights, load_qwen3},
    {"Phi3ForCausalLM", phi3_weights, load_llama},
    {"Gemma2ForCausalLM", gemma2_weights, load_gemma2},
    {"Gemma3ForCausalLM", gemma3_weights, load_gemma3},
    {"Olmo2ForCausalLM", olmo2_weights, load_olmo2},
    {"MixtralForCausalLM", mixtral_weights, load_mixtral},
    {"Qwen2MoeForCausalLM", qwen2_moe_weights, load_qwen2_moe},
    {"Qwen3MoeForCausalLM", qwen3_moe_weights, load_qwen3_moe},
    {"GptOssForCausalLM", gpt_oss_weights, load_gpt_oss},
    {"DeepseekV2ForCausalLM", deepseek_weights, load_deepseek},
    {"DeepseekV3ForCausalLM", deepseek_weights, load_deepseek},
}};

}  // namespace

std::span<const Architecture> architectures() {
  return kArchitectures;
}

Result<const Architecture*> find_architecture(const formats::ModelConfig& config) {
  std::vector<std::string_view> names;
  for (const auto& architecture : kArchitectures) {
    if (architecture.name == config.architecture) return &architecture;
    names.push_back(architecture.name);
  }
  return Error{ErrorCode::kBadModel,
               fmt::format("architecture {} is not supported", printable(config.architecture, 64)),
               fmt::format("this build serves {}", fmt::join(names, ", ")), ""};
}

}  // namespace mhub::model
