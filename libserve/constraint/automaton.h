// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "grammar.h"

namespace mhub::constraint {

using NodeId = uint32_t;

// A grammar over bytes: one network of nodes per rule, with edges that read a byte, edges that read nothing, and calls
// of other rules that come back to a node. Only nodes from which their rule's end can be reached are connected.
class Automaton {
 public:
  static constexpr size_t kMaxNodes = 250'000, kMaxEdges = 1'000'000;

  struct ByteEdge {
    ByteRange bytes;
    NodeId target;
  };
  struct Call {
    NodeId start, back;
  };

  // Errors (kInvalidRequest): more nodes than the limit, left recursion, a grammar that nothing matches.
  static Result<Automaton> build(const Grammar& grammar);

  NodeId start() const { return start_; }
  size_t num_nodes() const { return final_.size(); }
  std::span<const ByteEdge> byte_edges(NodeId node) const { return byte_edges_.of(node); }
  std::span<const NodeId> empty_edges(NodeId node) const { return empty_edges_.of(node); }
  std::span<const Call> calls(NodeId node) const { return calls_.of(node); }
  bool is_final(NodeId node) const { return final_[node]; }
  // Its rule ends here, whatever follows: coming back to it need not be remembered.
  bool only_ends(NodeId node) const;
  // Bytes of one class lead the same way everywhere.
  uint8_t class_of(uint8_t byte) const { return classes_[byte]; }
  size_t num_classes() const { return num_classes_; }

 private:
  // Values by node, packed.
  template <typename T>
  class ByNode {
   public:
    void add(NodeId node, T value) { unsorted_.emplace_back(node, value); }
    size_t size() const { return unsorted_.size(); }
    void pack(size_t num_nodes) {
      first_.assign(num_nodes + 1, 0);
      for (const auto& [node, value] : unsorted_) ++first_[node + 1];
      for (size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
      values_.resize(unsorted_.size());
      auto next = first_;
      for (const auto& [node, value] : unsorted_) values_[next[node]++] = value;
      unsorted_ = {};
    }
    std::span<const T> of(NodeId node) const {
      return std::span<const T>(values_).subspan(first_[node], first_[node + 1] - first_[node]);
    }

   private:
    std::vector<std::pair<NodeId, T>> unsorted_;
    std::vector<T> values_;
    std::vector<uint32_t> first_;
  };
  friend class AutomatonBuilder;

  NodeId start_ = 0;
  std::vector<bool> final_;
  ByNode<ByteEdge> byte_edges_;
  ByNode<NodeId> empty_edges_;
  ByNode<Call> calls_;
  std::array<uint8_t, 256> classes_{};
  size_t num_classes_ = 1;
};

}  // namespace mhub::constraint
