// SPDX-License-Identifier: Apache-2.0
#include "sampling/race.h"

#include <cmath>

#include "random_bits.h"

namespace mhub::model {
namespace {

constexpr double kResolution = 0x1p-32;

struct Leader {
  double score = 0;
  int32_t token = 0;
  // e = -log(1 - u) >= u, so most runners are dropped without a logarithm.
  void meet(float weight, double u, int32_t candidate) {
    const auto w = static_cast<double>(weight);
    if (w <= score * u) return;
    const double own = w / -std::log1p(-u);
    if (own > score || (own == score && candidate < token)) {
      score = own;
      token = candidate;
    }
  }
};

}  // namespace

ExponentialRace::ExponentialRace(uint64_t seed, uint64_t output_index)
    : key_(mix_bits(mix_bits(seed + kCounterStep) + (output_index + 1) * kCounterStep)) {}

double ExponentialRace::uniform(int32_t token) const {
  const uint64_t bits = mix_bits(key_ + static_cast<uint64_t>(static_cast<uint32_t>(token)) * kCounterStep);
  return (static_cast<double>(bits >> 32) + 0.5) * kResolution;
}

int32_t ExponentialRace::winner(std::span<const Candidate> candidates) const {
  Leader leader;
  for (const Candidate& c : candidates) leader.meet(c.weight, uniform(c.token), c.token);
  return leader.token;
}

int32_t ExponentialRace::winner(std::span<const float> weights) const {
  Leader leader;
  for (size_t i = 0; i < weights.size(); ++i) {
    // Below the smallest possible u nothing can win.
    if (static_cast<double>(weights[i]) <= leader.score * (0.5 * kResolution)) continue;
    const auto token = static_cast<int32_t>(i);
    leader.meet(weights[i], uniform(token), token);
  }
  return leader.token;
}

}  // namespace mhub::model
