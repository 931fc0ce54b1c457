// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <vector>

#include "automaton.h"

namespace mhub::constraint {

// Makes the nodes and edges of every rule, then looks at the whole: what can end, what recurs without reading.
class AutomatonBuilder {
 public:
  explicit AutomatonBuilder(const Grammar& grammar) : grammar_(grammar) {}
  Result<Automaton> build();

 private:
  struct Call {
    NodeId from, back;
    RuleId rule;
  };
  struct ByteEdge {
    NodeId from, to;
    ByteRange bytes;
  };
  struct EmptyEdge {
    NodeId from, to;
  };
  using Tails = std::map<std::vector<ByteRange>, NodeId>;

  NodeId add_node();
  void add_byte_edge(NodeId from, ByteRange bytes, NodeId to);
  void add_empty_edge(NodeId from, NodeId to);
  bool full() const { return overflowed_; }

  void emit(ExprId id, NodeId from, NodeId to, int depth);
  void emit_bytes(std::string_view bytes, NodeId from, NodeId to);
  void emit_chars(const CodePointSet& set, NodeId from, NodeId to);
  NodeId tail_node(std::span<const ByteRange> rest, NodeId to, Tails& tails);
  void emit_repeat(const Grammar::Expr& repeat, NodeId from, NodeId to, int depth);

  std::vector<bool> find_productive() const;  // nodes from which their rule's end can be reached
  std::vector<bool> find_nullable() const;    // rules that match nothing
  Result<void> refuse_left_recursion(const std::vector<bool>& nullable) const;
  void number_classes(Automaton& to) const;

  const Grammar& grammar_;
  std::vector<NodeId> starts_, ends_;  // by rule
  size_t num_nodes_ = 0;
  std::vector<ByteEdge> byte_edges_;
  std::vector<EmptyEdge> empty_edges_;
  std::vector<Call> calls_;
  bool overflowed_ = false;
};

}  // namespace mhub::constraint
