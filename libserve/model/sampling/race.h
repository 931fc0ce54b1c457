// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mhub::model {

struct Candidate {
  float logit = 0;
  float weight = 0;  // unnormalized probability
  int32_t token = 0;
};

// Draws by exponential race: argmax of weight / e, e ~ Exp(1) (the same as Gumbel-max, so no normalization is needed).
// e is a function of (seed, output index, token) alone: neither the batch nor the order of candidates changes a draw.
class ExponentialRace {
 public:
  ExponentialRace(uint64_t seed, uint64_t output_index);
  uint64_t key() const { return key_; }
  // Preconditions: some weight is positive.
  int32_t winner(std::span<const Candidate> candidates) const;
  // weights[token].
  int32_t winner(std::span<const float> weights) const;

 private:
  double uniform(int32_t token) const;  // in (0, 1)
  uint64_t key_;
};

}  // namespace mhub::model
