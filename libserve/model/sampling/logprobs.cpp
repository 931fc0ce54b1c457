// SPDX-License-Identifier: Apache-2.0
#include "sampling/logprobs.h"

#include <algorithm>
#include <cmath>

namespace mhub::model {
namespace {

struct Ranked {
  float logit;
  int32_t token;
};
bool likelier(const Ranked& a, const Ranked& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

std::vector<Ranked> likeliest(std::span<const float> logits, size_t count) {
  std::vector<Ranked> heap;  // the least likely of the kept in front
  if (count == 0) return heap;
  heap.reserve(count);
  for (size_t i = 0; i < logits.size(); ++i) {
    const Ranked candidate{logits[i], static_cast<int32_t>(i)};
    if (heap.size() < count) {
      heap.push_back(candidate);
      std::push_heap(heap.begin(), heap.end(), likelier);
    } else if (candidate.logit > heap.front().logit) {  // an equal one has a higher id
      std::pop_heap(heap.begin(), heap.end(), likelier);
      heap.back() = candidate;
      std::push_heap(heap.begin(), heap.end(), likelier);
    }
  }
  std::sort_heap(heap.begin(), heap.end(), likelier);
  return heap;
}

}  // namespace

PositionLogprobs position_logprobs(std::span<const float> logits, const RowMax& max, int32_t chosen, int32_t top) {
  const double log_sum = static_cast<double>(max.value) + std::log(sum_exp(logits, max.value));
  const auto logprob = [log_sum](float logit) { return static_cast<float>(static_cast<double>(logit) - log_sum); };
  PositionLogprobs result;
  const float own = logits[static_cast<size_t>(chosen)];
  const auto above = std::count_if(logits.begin(), logits.end(), [own](float logit) { return logit > own; });
  result.chosen = {chosen, logprob(own), static_cast<int32_t>(above) + 1};
  int32_t rank = 0;
  for (const Ranked& best : likeliest(logits, std::min(static_cast<size_t>(std::max(top, 0)), logits.size())))
    result.top.push_back({best.token, logprob(best.logit), ++rank});
  return result;
}

}  // namespace mhub::model
