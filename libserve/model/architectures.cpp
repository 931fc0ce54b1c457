// SPDX-License-Identifier: Apache-2.0
#include "architectures.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "families/families.h"

namespace mhub::model {
namespace {

constexpr std::array<Architecture, 14> kArchitectures = {{
    {"LlamaForCausalLM", "Llama 2, 3, 3.1, 3.2, SmolLM2", "llama",
     "SmolLM2-135M Q4_1 GGUF, stories260k and doclm-19m: perplexity, logits, greedy tokens", llama_weights, load_llama},
    {"MistralForCausalLM", "Mistral 7B, Nemo", "llama", "", llama_weights, load_llama},
    {"Qwen2ForCausalLM", "Qwen2, Qwen2.5", "qwen2", "", qwen2_weights, load_llama},
    {"Qwen3ForCausalLM", "Qwen3", "qwen3", "", qwen3_weights, load_qwen3},
    {"Phi3ForCausalLM", "Phi-3, Phi-3.5, Phi-4-mini", "phi3", "", phi3_weights, load_llama},
    {"Gemma2ForCausalLM", "Gemma 2", "gemma2", "", gemma2_weights, load_gemma2},
    {"Gemma3ForCausalLM", "Gemma 3 (text)", "gemma3",
     "Gemma 3 270M Q4_K_M GGUF: perplexity with and without BOS, divergence, logits, 1536 greedy steps", gemma3_weights,
     load_gemma3},
    {"Olmo2ForCausalLM", "OLMo 2", "olmo2", "", olmo2_weights, load_olmo2},
    {"MixtralForCausalLM", "Mixtral 8x7B, 8x22B", "llama", "", mixtral_weights, load_mixtral},
    {"Qwen2MoeForCausalLM", "Qwen1.5-MoE, Qwen2-MoE", "qwen2moe", "", qwen2_moe_weights, load_qwen2_moe},
    {"Qwen3MoeForCausalLM", "Qwen3-30B-A3B, 235B-A22B", "qwen3moe", "", qwen3_moe_weights, load_qwen3_moe},
    {"GptOssForCausalLM", "gpt-oss 20b, 120b", "gpt-oss", "", gpt_oss_weights, load_gpt_oss},
    {"DeepseekV2ForCausalLM", "DeepSeek V2, V2-Lite", "deepseek2", "", deepseek_weights, load_deepseek},
    {"DeepseekV3ForCausalLM", "DeepSeek V3, R1", "deepseek2", "", deepseek_weights, load_deepseek},
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
