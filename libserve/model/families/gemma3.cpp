// SPDX-License-Identifier: Apache-2.0
// Gemma 3: normed query and key heads instead of soft caps; the layers that slide have a rope of their own.
#include "families/families.h"
#include "families/gemma.h"

namespace mhub::model {

std::vector<WeightSpec> gemma3_weights(const formats::ModelConfig& config) {
  return GemmaDecoder::weights(config, true);
}

Result<std::unique_ptr<CausalLM>> load_gemma3(const formats::ModelConfig& config, const WeightLoader& loader) {
  return GemmaDecoder::load(config, loader, true);
}

}  // namespace mhub::model
