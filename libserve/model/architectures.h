// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "causal_lm.h"
#include "weights/weight_loader.h"

namespace mhub::model {

// One entry of config.json's `architectures` that this build can run.
struct Architecture {
  std::string_view name;
  std::string_view models;   // what people call them
  std::string_view gguf;     // general.architecture of their GGUF files
  std::string_view checked;  // against what, beyond the reference logits of a tiny model of the architecture
  std::vector<WeightSpec> (*weights)(const formats::ModelConfig& config);
  Result<std::unique_ptr<CausalLM>> (*load)(const formats::ModelConfig& config, const WeightLoader& loader);
};

std::span<const Architecture> architectures();
// Errors: kBadModel when the architecture is unknown.
Result<const Architecture*> find_architecture(const formats::ModelConfig& config);

}  // namespace mhub::model
