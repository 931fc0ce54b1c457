// SPDX-License-Identifier: Apache-2.0
#include "state_table.h"

#include <algorithm>

namespace mhub::constraint {
namespace {

uint64_t key_of(uint32_t high, uint32_t low) {
  return static_cast<uint64_t>(high) << 32 | low;
}

}  // namespace

StateTable::StateTable(const Automaton& automaton) : automaton_(automaton) {
  stacks_.push_back({0, kBottom, 0});
  close();  // kDead
  start_ = alone(automaton.start());
}

std::span<const StateTable::Place> StateTable::places(StateId state) const {
  return std::span(places_).subspan(states_[state].first, states_[state].count);
}

StateId StateTable::alone(NodeId node) {
  add({node, kBottom});
  return close();
}

StateId StateTable::step(StateId state, uint8_t byte) {
  const size_t slot = state * automaton_.num_classes() + automaton_.class_of(byte);
  if (next_[slot] != kUnknown) return next_[slot];
  for (uint32_t i = 0; i < states_[state].count; ++i) {
    const Place place = places_[states_[state].first + i];
    for (const auto& edge : automaton_.byte_edges(place.node)) {
      if (edge.bytes.first <= byte && byte <= edge.bytes.last) add({edge.target, place.stack});
    }
  }
  work_ += states_[state].count;
  const StateId to = close();
  next_[slot] = to;
  return to;
}

void StateTable::add(Place place) {
  if (seen_.size() >= kMaxPlaces) return;
  if (seen_.emplace(key_of(place.node, place.stack), true).second) closing_.push_back(place);
}

StackId StateTable::push(StackId below, NodeId back) {
  const auto [known, is_new] = stack_ids_.emplace(key_of(below, back), static_cast<StackId>(stacks_.size()));
  if (is_new) {
    stacks_.push_back({back, below, stacks_[below].depth + 1});
    bytes_ += sizeof(Stack) + 48;
  }
  return known->second;
}

StateId StateTable::import(const StateTable& from, StateId state) {
  kept_.clear();
  std::vector<NodeId> backs;
  for (const Place& place : from.places(state)) {
    backs.clear();
    for (StackId at = place.stack; at != kBottom; at = from.stacks_[at].below) backs.push_back(from.stacks_[at].back);
    StackId stack = kBottom;
    for (auto back = backs.rbegin(); back != backs.rend(); ++back) stack = push(stack, *back);
    kept_.push_back({place.node, stack});
  }
  return intern(from.accepts(state));
}

StateId StateTable::close() {
  bool accepting = false;
  kept_.clear();
  for (size_t i = 0; i < closing_.size(); ++i) {
    const Place place = closing_[i];
    if (!automaton_.byte_edges(place.node).empty()) kept_.push_back(place);
    for (const NodeId to : automaton_.empty_edges(place.node)) add({to, place.stack});
    for (const auto& call : automaton_.calls(place.node)) {
      if (automaton_.only_ends(call.back)) {
        add({call.start, place.stack});
      } else if (stacks_[place.stack].depth < kMaxDepth) {
        add({call.start, push(place.stack, call.back)});
      }
    }
    if (!automaton_.is_final(place.node)) continue;
    if (place.stack == kBottom) {
      accepting = true;
    } else {
      add({stacks_[place.stack].back, stacks_[place.stack].below});
    }
  }
  work_ += closing_.size();
  closing_.clear();
  seen_.clear();
  return intern(accepting);
}

StateId StateTable::intern(bool accepting) {
  State made;
  made.accepting = accepting;
  std::sort(kept_.begin(), kept_.end());
  uint64_t hash = made.accepting ? 0x9E3779B97F4A7C15u : 0;
  for (const Place& place : kept_) {
    hash = (hash ^ key_of(place.node, place.stack)) * 0x9FB21C651E98DF25u;
    hash ^= hash >> 29;
    made.depth = std::max(made.depth, stacks_[place.stack].depth);
  }
  const auto [first, last] = state_ids_.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    const auto known = places(it->second);
    if (states_[it->second].accepting == made.accepting &&
        std::equal(known.begin(), known.end(), kept_.begin(), kept_.end())) {
      return it->second;
    }
  }
  made.first = static_cast<uint32_t>(places_.size());
  made.count = static_cast<uint32_t>(kept_.size());
  const auto id = static_cast<StateId>(states_.size());
  states_.push_back(made);
  places_.insert(places_.end(), kept_.begin(), kept_.end());
  next_.resize(next_.size() + automaton_.num_classes(), kUnknown);
  state_ids_.emplace(hash, id);
  bytes_ += sizeof(State) + kept_.size() * sizeof(Place) + automaton_.num_classes() * sizeof(StateId) + 48;
  return id;
}

}  // namespace mhub::constraint
