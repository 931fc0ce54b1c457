// SPDX-License-Identifier: Apache-2.0
#include "piece_trie.h"

#include <algorithm>

namespace mhub::text {

PieceTrie::PieceTrie(std::vector<Entry> entries) {
  std::sort(entries.begin(), entries.end());
  struct Span {
    size_t begin, end, depth;  // entries below one node; they share their first `depth` bytes
  };
  std::vector<Span> spans{{0, entries.size(), 0}};
  children_.emplace_back();
  bytes_.push_back(0);
  ids_.push_back(kNoToken);
  for (size_t node = 0; node < spans.size(); ++node) {  // breadth first; `spans` grows with the nodes
    auto [begin, end, depth] = spans[node];
    if (begin < end && entries[begin].first.size() == depth) ids_[node] = entries[begin++].second;
    children_[node].first = static_cast<uint32_t>(spans.size());
    while (begin < end) {
      const char byte = entries[begin].first[depth];
      size_t last = begin + 1;
      while (last < end && entries[last].first[depth] == byte) ++last;
      spans.push_back({begin, last, depth + 1});
      children_.emplace_back();
      bytes_.push_back(static_cast<uint8_t>(byte));
      ids_.push_back(kNoToken);
      begin = last;
    }
    children_[node].count = static_cast<uint32_t>(spans.size()) - children_[node].first;
  }
}

}  // namespace mhub::text
