// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "sampling/race.h"

namespace mhub::model {

// The k-th largest value. Precondition: 1 <= k <= row.size().
float kth_largest(std::span<const float> row, size_t k, std::vector<float>& scratch);

// top_p: keeps the likeliest tokens whose predecessors sum to less than p of `total`; always at least one. Reorders.
// Precondition: weights are in [0, 1].
void keep_top_p(std::vector<Candidate>& candidates, double p, double total);

// typical_p: keeps the tokens whose surprise is closest to the entropy, until they sum to `p` of `total`; always at
// least one. Reorders. Returns what is left of `total`.
// Precondition: `total` is the sum of the weights.
double keep_typical(std::vector<Candidate>& candidates, double p, double total);

}  // namespace mhub::model
