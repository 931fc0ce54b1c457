// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "support/tiny_model.h"

namespace mhub::test {

// Logits of every position of one sequence, computed in double, one position after another, without a cache layout, a
// batch or a stacked weight. Written from the formulas, apart from the engine's layers. `inv_freq` are the rotary
// frequencies (default rope when empty); cos and sin are multiplied by `rope_factor`.
std::vector<std::vector<double>> reference_logits(const TinyModelOptions& options,
                                                  const std::map<std::string, TinyTensor>& tensors,
                                                  std::span<const int32_t> tokens, std::vector<double> inv_freq = {},
                                                  double rope_factor = 1.0);

}  // namespace mhub::test
