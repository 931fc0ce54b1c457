// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "automaton.h"
#include "mhub/constraint/vocabulary.h"
#include "state_table.h"

namespace mhub::constraint {

// Which tokens may follow, for all requests under one constraint. What a token does inside the rule of a place does not
// depend on the stack below, so it is found out once per node; only tokens that leave the rule are tried on the stack
// at hand. Of one thread.
class TokenMasks {
 public:
  using Mask = std::vector<uint32_t>;  // a bit per token

  TokenMasks(const Automaton& automaton, const Vocabulary& vocabulary);
  const Vocabulary& vocabulary() const { return vocabulary_; }
  StateTable& states() { return *states_; }
  StateId after(StateId state, std::string_view text);
  // Valid until the next call.
  const Mask& mask(StateId state);
  const Mask& first_mask();  // for the token that begins the answer
  // Throws away what has grown too large. `live` are the state ids in use, which are carried over.
  void trim(std::list<StateId>& live);
  size_t mask_bytes() const { return node_mask_bytes_ + state_mask_bytes_; }  // of the masks that are kept

 private:
  struct NodeMask {
    bool known = true;  // false: too much work
    Mask inside;
    std::vector<uint32_t>
        leaving;  // places of tokens in sorted order that are not inside, and come to their rule's end
  };
  void forget_states();  // masks by state id, which another table gives anew
  Mask no_tokens() const { return Mask((vocabulary_.size() + 31) / 32, 0); }
  const NodeMask& node_mask(NodeId node);
  // Sets the tokens that do not die, and collects those that die behind an end of the state. False: too much work.
  bool walk(StateId from, const SortedTokens& tokens, Mask& inside, std::vector<uint32_t>* leaving);
  bool mask_by_nodes(StateId state, Mask& out);
  void try_tokens(StateId from, std::vector<uint32_t>& places, Mask& out);
  void single_bytes(StateId from, const SortedTokens& tokens, Mask& out);

  const Automaton& automaton_;
  const Vocabulary& vocabulary_;
  std::unique_ptr<StateTable> states_;
  std::unordered_map<NodeId, NodeMask> node_masks_;
  std::unordered_map<StateId, Mask> masks_;
  Mask first_mask_;
  size_t node_mask_bytes_ = 0, state_mask_bytes_ = 0;
};

}  // namespace mhub::constraint
