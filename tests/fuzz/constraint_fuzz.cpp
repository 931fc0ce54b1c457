// SPDX-License-Identifier: Apache-2.0
// Input: a byte that chooses the kind of form (schema, regex, grammar, choice) and its options, then its text. What
// compiles is followed over a few bytes; each state that goes on must come to an end or to more.
#include <cstdlib>
#include <string>

#include "automaton.h"
#include "mhub/constraint/matcher.h"
#include "state_table.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mhub::constraint;
  if (size == 0 || size > 4096) return 0;
  static constexpr Spec::Kind kKinds[] = {Spec::Kind::kJsonSchema, Spec::Kind::kRegex, Spec::Kind::kGrammar,
                                          Spec::Kind::kChoice};
  Spec spec;
  spec.kind = kKinds[data[0] % 4];
  spec.any_whitespace = (data[0] & 4) == 0;
  spec.forbid_additional = (data[0] & 8) != 0;
  spec.text.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto constraint = Constraint::compile(spec);
  if (!constraint) {
    if (constraint.error().message.empty()) std::abort();
    return 0;
  }
  StateTable states((*constraint)->automaton());
  StateId state = states.start();
  for (size_t i = 0; i < 64 && states.goes_on(state) && !states.full(); ++i) {
    StateId next = StateTable::kDead;
    for (unsigned byte = data[i % size], tried = 0; tried < 256 && next == StateTable::kDead; ++tried) {
      next = states.step(state, static_cast<uint8_t>(byte + tried));
    }
    if (next == StateTable::kDead) {  // though some byte may follow; only at the limit of the depth
      if (size <= 200 && states.depth(state) <= StateTable::kMaxDepth / 2) std::abort();
      break;
    }
    state = next;
  }
  return 0;
}
