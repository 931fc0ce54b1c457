// SPDX-License-Identifier: Apache-2.0
#include "architectures.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "llama.h"
#include "qwen2.h"

namespace mhub::model {
namespace {

constexpr std::array<Architecture, 3> kArchitectures = {{
    {"LlamaForCausalLM", &Llama::weights, &Llama::load},
    {"MistralForCausalLM", &Llama::weights, &Llama::load},
    {"Qwen2ForCausalLM", &Qwen2::weights, &Qwen2::load},
}};

}  // namespace

Result<const Architecture*> find_architecture(const formats::ModelConfig& config) {
  const Architecture* found = nullptr;
  std::vector<std::string_view> names;
  for (const auto& architecture : kArchitectures) {
    if (architecture.name == config.architecture) found = &architecture;
    names.push_back(architecture.name);
  }
  if (!found) {
    return Error{ErrorCode::kBadModel,
                 fmt::format("architecture {} is not supported", printable(config.architecture, 64)),
                 fmt::format("this build serves {}", fmt::join(names, ", ")), ""};
  }
  if (config.sliding_window) {
    return Error{ErrorCode::kBadModel,
                 fmt::format("{} with a sliding window of {} tokens is not supported", config.architecture,
                             *config.sliding_window),
                 "use a model with full attention", ""};
  }
  if (config.hidden_act != "silu" && config.hidden_act != "swish") {
    return Error{
        ErrorCode::kBadModel,
        fmt::format("hidden_act {} is not supported for {}", printable(config.hidden_act, 64), config.architecture), "",
        ""};
  }
  return found;
}

}  // namespace mhub::model
