// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "automaton.h"

namespace mhub::constraint {

using StateId = uint32_t;
using StackId = uint32_t;

// The states that an automaton can be in after some text: a set of places, each a node and the stack of nodes to come
// back to. States and the steps between them are made when they are first met and kept, so that a step met before costs
// one look into a table.
class StateTable {
 public:
  static constexpr StateId kDead = 0;           // no continuation, and no end
  static constexpr uint32_t kMaxDepth = 200;    // of calls; a grammar that goes deeper is cut there
  static constexpr size_t kMaxPlaces = 20'000;  // of a state; beyond it the alternatives found last are dropped
  static constexpr size_t kMaxBytes = 8u << 20;

  struct Place {
    NodeId node;
    StackId stack;
    auto operator<=>(const Place&) const = default;
  };

  explicit StateTable(const Automaton& automaton);
  StateId start() const { return start_; }
  // The state of one node as if its rule were called from nowhere: where it could come back, it accepts.
  StateId alone(NodeId node);
  StateId step(StateId state, uint8_t byte);
  // The same state of another table of this automaton.
  StateId import(const StateTable& from, StateId state);
  bool accepts(StateId state) const { return states_[state].accepting; }
  bool goes_on(StateId state) const { return states_[state].count > 0; }  // some byte may follow
  std::span<const Place> places(StateId state) const;
  uint32_t depth(StateId state) const { return states_[state].depth; }
  // Whether it has grown beyond its size: its owner throws it away between two uses.
  bool full() const { return bytes_ > kMaxBytes; }
  size_t bytes() const { return bytes_; }
  uint64_t work() const { return work_; }  // places looked at so far

 private:
  struct State {
    uint32_t first = 0, count = 0;  // of places_
    uint32_t depth = 0;
    bool accepting = false;
  };
  struct Stack {
    NodeId back;
    StackId below;
    uint32_t depth;
  };
  static constexpr StackId kBottom = 0;
  static constexpr StateId kUnknown = UINT32_MAX;

  void add(Place place);
  StackId push(StackId below, NodeId back);
  StateId close();                 // makes a state of closing_ and what is reachable from there without reading
  StateId intern(bool accepting);  // the state of kept_

  const Automaton& automaton_;
  std::vector<State> states_;
  std::vector<Place> places_;
  std::vector<StateId> next_;  // by state and class of bytes
  std::vector<Stack> stacks_;
  std::unordered_map<uint64_t, StackId> stack_ids_;
  std::unordered_multimap<uint64_t, StateId> state_ids_;  // by hash
  std::vector<Place> closing_, kept_;
  std::unordered_map<uint64_t, bool> seen_;
  size_t bytes_ = 0;
  uint64_t work_ = 0;
  StateId start_ = kDead;
};

}  // namespace mhub::constraint
