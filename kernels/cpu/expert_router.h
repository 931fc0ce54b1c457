// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "mhub/kernels/op_options.h"

namespace mhub::kernels::cpu {

// Chooses experts from one token's router logits. Keeps scratch between tokens.
class ExpertRouter {
 public:
  explicit ExpertRouter(const RouterOptions& options) : options_(options) {}
  // experts, weights: [top_k], best first; of equal scores the lower expert.
  void choose(const float* logits, int64_t num_experts, int32_t* experts, float* weights);

 private:
  void score(const float* logits, int64_t num_experts);
  void mask_groups(int64_t num_experts);
  const RouterOptions& options_;
  std::vector<float> scores_, choice_, group_scores_;
  std::vector<int32_t> order_;
};

// Fills offsets, row_tokens and choice_rows from `experts` [tokens, top_k].
void group_by_expert(const ExpertRows& rows, const int32_t* experts);

}  // namespace mhub::kernels::cpu
