// SPDX-License-Identifier: Apache-2.0
#include "expert_router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace mhub::kernels::cpu {
namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();

// The `count` best of `scores` go first in `order`.
void rank(const std::vector<float>& scores, int64_t count, std::vector<int32_t>& order) {
  order.resize(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](int32_t a, int32_t b) {
    const float x = scores[static_cast<size_t>(a)], y = scores[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  });
}

}  // namespace

void ExpertRouter::score(const float* logits, int64_t num_experts) {
  scores_.assign(logits, logits + num_experts);
  if (options_.sigmoid) {
    for (float& x : scores_) x = 1.0f / (1.0f + std::exp(-x));
    return;
  }
  const float top = *std::max_element(scores_.begin(), scores_.end());
  float total = 0.0f;
  for (float& x : scores_) total += x = std::exp(x - top);
  for (float& x : scores_) x /= total;
}

void ExpertRouter::mask_groups(int64_t num_experts) {
  const auto groups = static_cast<size_t>(options_.groups), size = static_cast<size_t>(num_experts) / groups;
  group_scores_.assign(groups, kMasked);
  for (size_t g = 0; g < groups; ++g) {
    float best = kMasked, second = kMasked;
    for (size_t i = g * size; i < (g + 1) * size; ++i) {
      const float x = choice_[i];
      second = std::max(second, std::min(best, x));
      best = std::max(best, x);
    }
    group_scores_[g] = options_.group_by_top_two && size > 1 ? best + second : best;
  }
  rank(group_scores_, options_.kept_groups, order_);
  for (size_t i = static_cast<size_t>(options_.kept_groups); i < groups; ++i) {
    const auto first = choice_.begin() + order_[i] * static_cast<int64_t>(size);
    std::fill(first, first + static_cast<int64_t>(size), kMasked);
  }
}

void ExpertRouter::choose(const float* logits, int64_t num_experts, int32_t* experts, float* weights) {
  score(logits, num_experts);
  choice_ = scores_;
  if (options_.bias != nullptr) {
    for (size_t e = 0; e < choice_.size(); ++e) choice_[e] += options_.bias[e];
  }
  for (float& x : choice_) x = std::isnan(x) ? kMasked : x;  // keeps the order total; the weights stay NaN
  if (options_.kept_groups < options_.groups) mask_groups(num_experts);
  rank(choice_, options_.top_k, order_);
  float total = 0.0f;
  for (int64_t j = 0; j < options_.top_k; ++j) {
    experts[j] = order_[static_cast<size_t>(j)];
    weights[j] = scores_[static_cast<size_t>(experts[j])];
    total += weights[j];
  }
  const float factor = options_.renormalize ? options_.scale / (total + 1e-20f) : options_.scale;
  for (int64_t j = 0; j < options_.top_k; ++j) weights[j] *= factor;
}

void group_by_expert(const ExpertRows& rows, const int32_t* experts) {
  std::fill_n(rows.offsets, rows.experts + 1, 0);
  for (int64_t i = 0; i < rows.rows(); ++i) ++rows.offsets[experts[i] + 1];
  for (int64_t e = 0; e < rows.experts; ++e) rows.offsets[e + 1] += rows.offsets[e];
  // offsets[e] walks to the expert's end, then everything moves back by one.
  for (int64_t i = 0; i < rows.rows(); ++i) {
    const int32_t row = rows.offsets[experts[i]]++;
    rows.choice_rows[i] = row;
    rows.row_tokens[row] = static_cast<int32_t>(i / rows.top_k);
  }
  for (int64_t e = rows.experts; e > 0; --e) rows.offsets[e] = rows.offsets[e - 1];
  rows.offsets[0] = 0;
}

}  // namespace mhub::kernels::cpu
