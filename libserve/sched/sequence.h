// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "sequence_blocks.h"

namespace mhub::sched {

// A request inside the scheduler. It is running (has a seat and blocks) or waiting (has neither).
struct Sequence {
  explicit Sequence(SequenceBlocks own) : blocks(std::move(own)) {}

  SeqId id = 0;
  uint64_t arrival = 0;
  int priority = 0;
  std::string scope;  // of the prefix cache; sequences that are computed as long ones have another
  bool long_context = false;
  bool read_prefix_cache = true;

  std::vector<TokenId> tokens;  // prompt, then output; kPendingToken for what steps in flight sample
  int64_t num_prompt = 0;
  int64_t max_total = 0;     // tokens.size() at which it ends by length
  int64_t num_computed = 0;  // tokens whose keys and values are in `blocks`
  int64_t num_planned = 0;   // the same, once the steps in flight are done
  int64_t num_sealed = 0;    // leading blocks offered to the prefix cache
  int64_t num_cached_prompt = 0;
  bool ever_scheduled = false;
  int32_t pending_row = -1;  // of the last planned batch that samples it
  uint32_t restarts = 0;     // times that it began again: preempted, or grown past long_context_from
  PrefixCache::NodeId last_sealed = PrefixCache::kRoot;
  bool has_room = false;  // blocks for what the step being planned may give it
  SequenceBlocks blocks;

  int64_t num_tokens() const { return static_cast<int64_t>(tokens.size()); }
  // Tokens left to plan. The last of all is sampled and never computed.
  int64_t num_left() const { return std::min(num_tokens(), max_total - (prompt_only() ? 0 : 1)) - num_planned; }
  bool decoding() const { return num_left() == 1 && num_tokens() > num_prompt; }
  bool prompt_only() const { return max_total == num_prompt; }
  std::span<const TokenId> prompt() const { return std::span(tokens).first(static_cast<size_t>(num_prompt)); }
  std::span<const TokenId> output() const { return std::span(tokens).subspan(static_cast<size_t>(num_prompt)); }
};

// Who goes first. The policy is this comparator and nothing else.
struct Precedes {
  Policy policy = Policy::kFcfs;
  bool operator()(const Sequence* a, const Sequence* b) const {
    if (policy == Policy::kPriority && a->priority != b->priority) return a->priority < b->priority;
    return a->arrival < b->arrival;
  }
};

}  // namespace mhub::sched
