// SPDX-License-Identifier: Apache-2.0
#include "sampling/candidates.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <utility>

namespace mhub::model {
namespace {

constexpr size_t kHeapLimit = 512;  // above it selecting in a copy of the row is faster

constexpr size_t kBuckets = (0x3f800000 >> 20) + 1;  // weights are at most 1

size_t bucket_of(const Candidate& c) {
  return std::bit_cast<uint32_t>(c.weight) >> 20;
}

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
  // Buckets of weights by exponent and three bits of mantissa: whole buckets are kept or dropped, one is sorted.
  std::array<double, kBuckets> mass{};
  for (const Candidate& c : candidates) mass[bucket_of(c)] += static_cast<double>(c.weight);
  double sum = 0;
  size_t last = kBuckets - 1;
  while (last > 0 && (mass[last] == 0 || sum + mass[last] < p * total)) sum += mass[last--];

  const auto split =
      std::partition(candidates.begin(), candidates.end(), [last](const Candidate& c) { return bucket_of(c) > last; });
  const auto end = std::partition(split, candidates.end(), [last](const Candidate& c) { return bucket_of(c) == last; });
  std::sort(split, end, likelier);
  auto kept = split;
  while (kept != end && (kept == candidates.begin() || sum < p * total)) sum += static_cast<double>((kept++)->weight);
  candidates.erase(kept, candidates.end());
}

double keep_typical(std::vector<Candidate>& candidates, double p, double total) {
  std::erase_if(candidates, [](const Candidate& c) { return c.weight <= 0; });
  const auto surprise = [total](const Candidate& c) { return -std::log(static_cast<double>(c.weight) / total); };
  double entropy = 0;
  for (const Candidate& c : candidates) entropy += static_cast<double>(c.weight) / total * surprise(c);
  std::vector<std::pair<double, Candidate>> by_distance;
  by_distance.reserve(candidates.size());
  for (const Candidate& c : candidates) by_distance.emplace_back(std::abs(surprise(c) - entropy), c);
  std::sort(by_distance.begin(), by_distance.end(), [](const auto& a, const auto& b) {
    return a.first < b.first || (a.first == b.first && likelier(a.second, b.second));
  });
  candidates.clear();
  double sum = 0;
  for (const auto& [distance, candidate] : by_distance) {
    if (!candidates.empty() && sum >= p * total) break;
    candidates.push_back(candidate);
    sum += static_cast<double>(candidate.weight);
  }
  return sum;
}

}  // namespace mhub::model
