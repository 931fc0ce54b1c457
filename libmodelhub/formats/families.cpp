// SPDX-License-Identifier: Apache-2.0
#include "families.h"

#include <array>

namespace mhub::formats {
namespace {

constexpr std::nullopt_t kNone = std::nullopt;
constexpr std::string_view kGelu = "gelu_pytorch_tanh";

// clang-format off
constexpr std::array<Family, 14> kFamilies = {{
    // architecture, model_type, GGUF, hidden, mlp, layers, heads, kv heads, head_dim, vocab, positions, eps, theta,
    // bos, eos, window, sliding, activation, tied
    {"LlamaForCausalLM", "llama", "llama", 4096, 11008, 32, 32, 0, 0, 32000, 2048, 1e-6, 1e4, 1, 2, kNone, Sliding::kNever, "silu", false},
    {"MistralForCausalLM", "mistral", "", 4096, 14336, 32, 32, 8, 0, 32000, 131072, 1e-6, 1e4, 1, 2, 4096, Sliding::kAll, "silu", false},
    {"Qwen2ForCausalLM", "qwen2", "qwen2", 4096, 22016, 32, 32, 32, 0, 151936, 32768, 1e-6, 1e4, kNone, kNone, 4096, Sliding::kQwen, "silu", false},
    {"Qwen3ForCausalLM", "qwen3", "qwen3", 4096, 22016, 32, 32, 32, 128, 151936, 32768, 1e-6, 1e4, kNone, kNone, 4096, Sliding::kQwen, "silu", false},
    {"Gemma2ForCausalLM", "gemma2", "gemma2", 2304, 9216, 26, 8, 4, 256, 256000, 8192, 1e-6, 1e4, 2, 1, 4096, Sliding::kEven, kGelu, true},
    {"Gemma3ForCausalLM", "gemma3_text", "gemma3", 2304, 9216, 26, 8, 4, 256, 262208, 131072, 1e-6, 1e6, 2, 1, 4096, Sliding::kFiveInSix, kGelu, true},
    {"Phi3ForCausalLM", "phi3", "phi3", 3072, 8192, 32, 32, 0, 0, 32064, 4096, 1e-5, 1e4, 1, 32000, kNone, Sliding::kAll, "silu", false},
    {"Olmo2ForCausalLM", "olmo2", "olmo2", 4096, 11008, 32, 32, 0, 0, 50304, 2048, 1e-5, 1e4, kNone, 50279, kNone, Sliding::kNever, "silu", false},
    {"MixtralForCausalLM", "mixtral", "", 4096, 14336, 32, 32, 8, 0, 32000, 131072, 1e-5, 1e6, 1, 2, kNone, Sliding::kAll, "silu", false},
    {"Qwen2MoeForCausalLM", "qwen2_moe", "qwen2moe", 2048, 5632, 24, 16, 16, 0, 151936, 32768, 1e-6, 1e4, kNone, kNone, 4096, Sliding::kQwen, "silu", false},
    {"Qwen3MoeForCausalLM", "qwen3_moe", "qwen3moe", 2048, 6144, 24, 32, 4, 0, 151936, 32768, 1e-6, 1e4, kNone, kNone, 4096, Sliding::kQwen, "silu", false},
    {"GptOssForCausalLM", "gpt_oss", "gpt-oss", 2880, 2880, 36, 64, 8, 64, 201088, 131072, 1e-5, 150000, kNone, kNone, 128, Sliding::kEven, "silu", false},
    {"DeepseekV2ForCausalLM", "deepseek_v2", "deepseek2", 4096, 11008, 32, 32, 0, 0, 102400, 2048, 1e-6, 1e4, 1, 2, kNone, Sliding::kNever, "silu", false},
    {"DeepseekV3ForCausalLM", "deepseek_v3", "", 7168, 18432, 61, 128, 0, 0, 129280, 4096, 1e-6, 1e4, 0, 1, kNone, Sliding::kNever, "silu", false},
}};
// clang-format on

}  // namespace

std::span<const Family> families() {
  return kFamilies;
}

}  // namespace mhub::formats
