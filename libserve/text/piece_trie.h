// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "vocabulary.h"

namespace mhub::text {

// Finds every vocabulary text that begins at one place of a text. Immutable after construction.
class PieceTrie {
 public:
  using Entry = std::pair<std::string_view, TokenId>;
  using Node = uint32_t;
  static constexpr Node kRoot = 0, kNowhere = UINT32_MAX;

  PieceTrie() = default;
  explicit PieceTrie(std::vector<Entry> entries);  // texts unique and not empty

  // The node behind `text`, or kNowhere when nothing begins so.
  Node walk(Node from, std::string_view text) const {
    for (size_t i = 0; i < text.size() && from != kNowhere; ++i) from = child(from, static_cast<uint8_t>(text[i]));
    return from;
  }
  // Calls on_piece(length, id) for every text below `from` that `text` begins with, shortest first.
  template <typename OnPiece>
  void for_each_prefix(Node from, std::string_view text, const OnPiece& on_piece) const {
    for (size_t i = 0; i < text.size(); ++i) {
      from = child(from, static_cast<uint8_t>(text[i]));
      if (from == kNowhere) return;
      if (ids_[from] != kNoToken) on_piece(i + 1, ids_[from]);
    }
  }

 private:
  struct Children {
    uint32_t first = 0;
    uint32_t count = 0;
  };
  Node child(Node node, uint8_t byte) const {
    if (children_.empty()) return kNowhere;
    const Children c = children_[node];
    const uint8_t* begin = bytes_.data() + c.first;
    uint32_t low = 0, high = c.count;
    while (low < high) {
      const uint32_t middle = (low + high) / 2;
      begin[middle] < byte ? low = middle + 1 : high = middle;
    }
    return low < c.count && begin[low] == byte ? c.first + low : kNowhere;
  }

  // By node; the children of a node lie side by side in the order of their bytes.
  std::vector<Children> children_;
  std::vector<uint8_t> bytes_;
  std::vector<TokenId> ids_;
};

}  // namespace mhub::text
