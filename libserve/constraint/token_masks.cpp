// SPDX-License-Identifier: Apache-2.0
#include "token_masks.h"

#include <algorithm>

namespace mhub::constraint {
namespace {

constexpr size_t kMaxMaskBytes = 8u << 20;
constexpr uint64_t kMaxWork = 4'000'000;                  // places looked at for one mask
constexpr size_t kMostBytes = 4 * StateTable::kMaxBytes;  // of a state table, while one mask is made
constexpr size_t kFewPlaces = 16;

void set(std::vector<uint32_t>& mask, int32_t token) {
  mask[static_cast<size_t>(token) / 32] |= 1u << (token % 32);
}
bool is_set(const std::vector<uint32_t>& mask, int32_t token) {
  return (mask[static_cast<size_t>(token) / 32] >> (token % 32) & 1u) != 0;
}

}  // namespace

TokenMasks::TokenMasks(const Automaton& automaton, const Vocabulary& vocabulary)
    : automaton_(automaton), vocabulary_(vocabulary), states_(std::make_unique<StateTable>(automaton)) {}

StateId TokenMasks::after(StateId state, std::string_view text) {
  for (const char byte : text) state = states_->step(state, static_cast<uint8_t>(byte));
  return state;
}

void TokenMasks::trim(std::list<StateId>& live) {
  if (mask_bytes() > kMaxMaskBytes) {
    node_masks_.clear();
    node_mask_bytes_ = 0;
    forget_states();
  }
  if (!states_->full()) return;
  auto fresh = std::make_unique<StateTable>(automaton_);
  for (StateId& state : live) state = fresh->import(*states_, state);
  states_ = std::move(fresh);
  forget_states();
}

void TokenMasks::forget_states() {
  masks_.clear();
  state_mask_bytes_ = 0;
}

bool TokenMasks::walk(StateId from, const SortedTokens& tokens, Mask& inside, std::vector<uint32_t>* leaving) {
  const uint64_t work_limit = states_->work() + kMaxWork;
  std::vector<StateId> path(tokens.longest() + 1, StateTable::kDead);  // states after the bytes of the token before
  std::vector<bool> came_to_end(tokens.longest() + 1, false);          // at those or earlier ones, behind the first
  path[0] = from;
  size_t alive = 0;  // bytes of the token before that path holds
  bool died = false;
  for (size_t place = 0; place < tokens.size(); ++place) {
    const size_t shared = tokens.shared(place);
    if (died && shared > alive) {  // it begins with the bytes that led nowhere
      if (leaving != nullptr && came_to_end[alive]) leaving->push_back(static_cast<uint32_t>(place));
      continue;
    }
    alive = std::min(shared, alive);
    const std::string_view text = tokens.text(place);
    died = false;
    while (alive < text.size()) {
      const StateId next = states_->step(path[alive], static_cast<uint8_t>(text[alive]));
      died = !states_->goes_on(next) && !states_->accepts(next);
      if (died) break;
      ++alive;
      path[alive] = next;
      came_to_end[alive] = came_to_end[alive - 1] || states_->accepts(next);
    }
    if (!died) {
      set(inside, tokens.id(place));
    } else if (leaving != nullptr && came_to_end[alive]) {
      leaving->push_back(static_cast<uint32_t>(place));
    }
    if (states_->work() > work_limit || states_->bytes() > kMostBytes) return false;
  }
  return true;
}

const TokenMasks::NodeMask& TokenMasks::node_mask(NodeId node) {
  const auto known = node_masks_.find(node);
  if (known != node_masks_.end()) return known->second;
  NodeMask made;
  made.inside = no_tokens();
  made.known = walk(states_->alone(node), vocabulary_.sorted(false), made.inside, &made.leaving);
  node_mask_bytes_ += (made.inside.size() + made.leaving.size()) * sizeof(uint32_t);
  return node_masks_.emplace(node, std::move(made)).first->second;
}

// Tokens at these places of the sorted order that live on from here.
void TokenMasks::try_tokens(StateId from, std::vector<uint32_t>& places, Mask& out) {
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  const SortedTokens& tokens = vocabulary_.sorted(false);
  std::vector<StateId> path = {from};
  std::string_view before;
  for (const uint32_t place : places) {
    if (is_set(out, tokens.id(place))) continue;
    const std::string_view text = tokens.text(place);
    const auto end = std::mismatch(before.begin(), before.end(), text.begin(), text.end()).second;
    path.resize(std::min(path.size(), static_cast<size_t>(end - text.begin()) + 1));
    before = text;
    while (path.size() <= text.size() && path.back() != StateTable::kDead) {
      path.push_back(states_->step(path.back(), static_cast<uint8_t>(text[path.size() - 1])));
    }
    if (path.back() != StateTable::kDead) set(out, tokens.id(place));
  }
}

bool TokenMasks::mask_by_nodes(StateId state, Mask& out) {
  const auto places = states_->places(state);
  if (places.size() > kFewPlaces ||
      states_->depth(state) + vocabulary_.sorted(false).longest() >= StateTable::kMaxDepth) {
    return false;
  }
  const std::vector<StateTable::Place> copy(places.begin(), places.end());  // the table grows meanwhile
  std::vector<uint32_t> leaving;
  for (const auto& place : copy) {
    const NodeMask& of_node = node_mask(place.node);
    if (!of_node.known) return false;
    for (size_t i = 0; i < out.size(); ++i) out[i] |= of_node.inside[i];
    leaving.insert(leaving.end(), of_node.leaving.begin(), of_node.leaving.end());
  }
  try_tokens(state, leaving, out);
  return true;
}

// What is always quick: at least these tokens may follow.
void TokenMasks::single_bytes(StateId from, const SortedTokens& tokens, Mask& out) {
  for (size_t place = 0; place < tokens.size(); ++place) {
    const std::string_view text = tokens.text(place);
    if (text.size() != 1) continue;
    if (states_->step(from, static_cast<uint8_t>(text.front())) != StateTable::kDead) set(out, tokens.id(place));
  }
}

const TokenMasks::Mask& TokenMasks::mask(StateId state) {
  const auto known = masks_.find(state);
  if (known != masks_.end()) return known->second;
  Mask made = no_tokens();
  if (!mask_by_nodes(state, made)) {
    made = no_tokens();
    if (!walk(state, vocabulary_.sorted(false), made, nullptr)) single_bytes(state, vocabulary_.sorted(false), made);
  }
  state_mask_bytes_ += made.size() * sizeof(uint32_t);
  return masks_.emplace(state, std::move(made)).first->second;
}

const TokenMasks::Mask& TokenMasks::first_mask() {
  if (!vocabulary_.first_differs()) return mask(states_->start());
  if (!first_mask_.empty()) return first_mask_;
  Mask made = no_tokens();
  if (!walk(states_->start(), vocabulary_.sorted(true), made, nullptr)) {
    single_bytes(states_->start(), vocabulary_.sorted(true), made);
  }
  first_mask_ = std::move(made);
  return first_mask_;
}

}  // namespace mhub::constraint
