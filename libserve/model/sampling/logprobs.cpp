// SPDX-License-Identifier: Apache-2.0
#include "sampling/logprobs.h"

#include <algorithm>
#include <cmath>
#include <functional>

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

double log_sum_exp(std::span<const float> logits, const RowMax& max) {
  return static_cast<double>(max.value) + std::log(sum_exp(logits, max.value));
}
float logprob(float logit, double log_sum) {
  return static_cast<float>(static_cast<double>(logit) - log_sum);
}

TokenLogprob chosen_logprob(std::span<const float> logits, double log_sum, int32_t chosen) {
  const float own = logits[static_cast<size_t>(chosen)];
  const auto above = std::count_if(logits.begin(), logits.end(), [own](float logit) { return logit > own; });
  return {chosen, logprob(own, log_sum), static_cast<int32_t>(above) + 1};
}

}  // namespace

PositionLogprobs position_logprobs(std::span<const float> logits, const RowMax& max, int32_t chosen, int32_t top) {
  const double log_sum = log_sum_exp(logits, max);
  PositionLogprobs result;
  result.chosen = chosen_logprob(logits, log_sum, chosen);
  int32_t rank = 0;
  for (const Ranked& best : likeliest(logits, std::min(static_cast<size_t>(std::max(top, 0)), logits.size())))
    result.top.push_back({best.token, logprob(best.logit, log_sum), ++rank});
  return result;
}

PositionLogprobs position_logprobs(std::span<const float> logits, const RowMax& max, int32_t chosen,
                                   std::span<const int32_t> tokens) {
  const double log_sum = log_sum_exp(logits, max);
  PositionLogprobs result;
  result.chosen = chosen_logprob(logits, log_sum, chosen);
  std::vector<float> descending;
  for (const int32_t token : tokens) {
    if (token < 0 || static_cast<size_t>(token) >= logits.size()) continue;
    const float logit = logits[static_cast<size_t>(token)];
    result.top.push_back({token, logprob(logit, log_sum), 0});
    descending.push_back(logit);
  }
  std::sort(descending.begin(), descending.end(), std::greater<>());
  // One pass for all ranks: how many of the row lie above each of the given.
  std::vector<int32_t> above(descending.size() + 1, 0);
  for (const float logit : logits) {
    if (descending.empty() || logit <= descending.back()) continue;
    const auto first_below =
        std::partition_point(descending.begin(), descending.end(), [logit](float given) { return given >= logit; });
    ++above[static_cast<size_t>(first_below - descending.begin())];
  }
  for (size_t i = 1; i < above.size(); ++i) above[i] += above[i - 1];
  for (TokenLogprob& given : result.top) {
    const float logit = logits[static_cast<size_t>(given.token)];
    const auto at = std::lower_bound(descending.begin(), descending.end(), logit, std::greater<>());
    given.rank = above[static_cast<size_t>(at - descending.begin())] + 1;
  }
  return result;
}

}  // namespace mhub::model
