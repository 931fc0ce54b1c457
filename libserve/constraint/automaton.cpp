// SPDX-License-Identifier: Apache-2.0
#include "automaton.h"

#include "automaton_builder.h"

namespace mhub::constraint {

bool Automaton::only_ends(NodeId node) const {
  return final_[node] && byte_edges(node).empty() && empty_edges(node).empty() && calls(node).empty();
}

Result<Automaton> Automaton::build(const Grammar& grammar) {
  return AutomatonBuilder(grammar).build();
}

}  // namespace mhub::constraint
