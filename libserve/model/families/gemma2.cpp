// SPDX-License-Identifier: Apache-2.0
// Gemma 2: soft-capped scores and logits, a window on every other layer; all of it in the config.
#include "families/families.h"
#include "families/gemma.h"

namespace mhub::model {

std::vector<WeightSpec> gemma2_weights(const formats::ModelConfig& config) {
  return GemmaDecoder::weights(config, false);
}

Result<std::unique_ptr<CausalLM>> load_gemma2(const formats::ModelConfig& config, const WeightLoader& loader) {
  return GemmaDecoder::load(config, loader, false);
}

}  // namespace mhub::model
