// SPDX-License-Identifier: Apache-2.0
// The exponential race of libserve/model/sampling/race.h: the greatest weight / -log(1 - u) wins.
#pragma once

#include <cstdint>

namespace mhub::kernels::cuda {

// The upper half of splitmix64's output for (key, token).
__device__ inline uint32_t race_bits(uint64_t key, int token) {
  uint64_t x = key + static_cast<uint64_t>(static_cast<uint32_t>(token)) * 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return static_cast<uint32_t>((x ^ (x >> 31)) >> 32);
}

// weight / -log(1 - u), relative error below 1e-5.
__device__ inline float rough_score(float weight, uint32_t bits) {
  const float u = (static_cast<float>(bits) + 0.5f) * 0x1p-32f;
  const float rest = (static_cast<float>(~bits) + 0.5f) * 0x1p-32f;  // 1 - u
  const float e = u < 0.1f ? u * (1.0f + u * (0.5f + u * (1.0f / 3 + u * (0.25f + u * 0.2f)))) : -__logf(rest);
  return __fdividef(weight, e);
}
constexpr float kRoughMargin = 1.0f - 1e-4f;

__device__ inline double exact_score(float weight, uint32_t bits) {
  return static_cast<double>(weight) / -log1p(-(static_cast<double>(bits) + 0.5) * 0x1p-32);
}

struct Runner {
  double score = 0;
  int token = 0x7fffffff;
};
__device__ inline Runner better(Runner a, Runner b) {
  return b.score > a.score || (b.score == a.score && b.token < a.token) ? b : a;
}

// The two best of a thread by rough score; only those near the best of all are worth an exact one.
struct RoughBest {
  float score[2] = {0.0f, 0.0f};
  float weight[2] = {0.0f, 0.0f};
  int token[2] = {0, 0};

  __device__ void meet(float rough, float its_weight, int its_token) {
    if (rough <= score[1]) return;
    const int place = rough > score[0] ? 0 : 1;
    if (place == 0) {
      score[1] = score[0];
      weight[1] = weight[0];
      token[1] = token[0];
      score[0] = rough;
      weight[0] = its_weight;
      token[0] = its_token;
    } else {
      score[1] = rough;
      weight[1] = its_weight;
      token[1] = its_token;
    }
  }
  // The better of those whose rough score is at least `bound`.
  __device__ Runner exact(uint64_t key, float bound) const {
    Runner own;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (score[i] > 0.0f && score[i] >= bound)
        own = better(own, Runner{exact_score(weight[i], race_bits(key, token[i])), token[i]});
    }
    return own;
  }
};

}  // namespace mhub::kernels::cuda
