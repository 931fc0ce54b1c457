// SPDX-License-Identifier: Apache-2.0
#include "transfer/extent_set.h"

#include <algorithm>

namespace mhub::hub {

void ExtentSet::add(Extent extent) {
  if (extent.begin >= extent.end) return;
  auto it = end_by_begin_.upper_bound(extent.begin);
  if (it != end_by_begin_.begin() && std::prev(it)->second >= extent.begin) --it;
  while (it != end_by_begin_.end() && it->first <= extent.end) {
    extent.begin = std::min(extent.begin, it->first);
    extent.end = std::max(extent.end, it->second);
    bytes_ -= it->second - it->first;
    it = end_by_begin_.erase(it);
  }
  end_by_begin_[extent.begin] = extent.end;
  bytes_ += extent.bytes();
}

uint64_t ExtentSet::prefix_end() const {
  const auto first = end_by_begin_.begin();
  return first != end_by_begin_.end() && first->first == 0 ? first->second : 0;
}

std::vector<Extent> ExtentSet::missing(uint64_t file_bytes) const {
  std::vector<Extent> gaps;
  uint64_t at = 0;
  for (const auto& [begin, end] : end_by_begin_) {
    if (begin > at) gaps.push_back({at, std::min(begin, file_bytes)});
    at = std::max(at, end);
    if (at >= file_bytes) return gaps;
  }
  if (at < file_bytes) gaps.push_back({at, file_bytes});
  return gaps;
}

void ExtentSet::clear() {
  end_by_begin_.clear();
  bytes_ = 0;
}

}  // namespace mhub::hub
