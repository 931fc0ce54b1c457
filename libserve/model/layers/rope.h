// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/formats/model_config.h"

namespace mhub::model {

// Values of a head that rotary embedding turns.
int64_t rotary_dim(const formats::ModelConfig& config);

struct RopeFrequencies {
  std::vector<double> inv_freq;   // [rotary_dim / 2]
  double attention_factor = 1.0;  // multiplies cos and sin (yarn)
};
// theta^(-2i/rotary_dim).
RopeFrequencies plain_rope_frequencies(double theta, int64_t rotary_dim);
// What DeepSeek multiplies the scale of its scores by, squared: 0.1 * mscale_all_dim * ln(factor) + 1 with yarn,
// else 1.
double attention_stretch(const formats::RopeScaling& scaling);
// Sequences of more tokens take other frequencies (longrope) where contexts of max_model_len pass that; 0 = none do.
int64_t length_of_short_rope(const formats::ModelConfig& config, int64_t max_model_len);
// Frequencies of the config's rope_type. dynamic is fixed for max_model_len; longrope takes its long factors when
// max_model_len is above the original length. divisors (GGUF's rope_freqs.weight), if
// not empty, replace llama3's formula. Errors: kBadModel naming a rope type that this build does not serve.
Result<RopeFrequencies> rope_frequencies(const formats::ModelConfig& config, int64_t max_model_len,
                                         std::span<const float> divisors);

// [max_model_len, rotary_dim]: cos then sin of each position, rotary_dim / 2 each, as Backend::rope_and_write_kv wants.
std::vector<float> rope_table(const RopeFrequencies& frequencies, int64_t max_model_len);

}  // namespace mhub::model
