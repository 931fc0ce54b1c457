// SPDX-License-Identifier: Apache-2.0
#include "sampling/candidates.h"

#include <algorithm>
#include <functional>

namespace mhub::model {
namespace {

constexpr size_t kHeapLimit = 512;  // above it selecting in a copy of the row is faster

bool likelier(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

}  // namespace

float kth_largest(std::span<const float> row, size_t k, std::vector<float>& scratch) {
  if (k > kHeapLimit) {
    scratch.assign(row.begin(), row.end());
    const auto nth = scratch.begin() + static_cast<std::ptrdiff_t>(k - 1);
    std::nth_element(scratch.begin(), nth, scratch.end(), std::greater<>());
    return *nth;
  }
  scratch.assign(row.begin(), row.begin() + static_cast<std::ptrdiff_t>(k));
  std::make_heap(scratch.begin(), scratch.end(), std::greater<>());  // the least of the k largest in front
  for (size_t i = k; i < row.size(); ++i) {
    if (row[i] <= scratch.front()) continue;
    std::pop_heap(scratch.begin(), scratch.end(), std::greater<>());
    scratch.back() = row[i];
    std::push_heap(scratch.begin(), scratch.end(), std::greater<>());
  }
  return scratch.front();
}

void keep_top_p(std::vector<Candidate>& candidates, double p, double total) {
  // Sorted piece by piece, likeliest first: the kept part is usually a small one.
  size_t kept = 0, sorted = 0, piece = 64;
  double sum = 0;
  while (kept < candidates.size() && (kept == 0 || sum < p * total)) {
    if (kept == sorted) {
      const size_t end = std::min(candidates.size(), sorted + piece);
      const auto first = candidates.begin() + static_cast<std::ptrdiff_t>(sorted);
      const auto last = candidates.begin() + static_cast<std::ptrdiff_t>(end);
      if (end < candidates.size()) std::nth_element(first, last, candidates.end(), likelier);
      std::sort(first, last, likelier);
      sorted = end;
      piece *= 4;
    }
    sum += static_cast<double>(candidates[kept++].weight);
  }
  candidates.resize(kept);
}

}  // namespace mhub::model
