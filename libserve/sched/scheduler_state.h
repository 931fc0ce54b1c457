// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <set>
#include <unordered_map>

#include "block_pool.h"
#include "prefix_cache.h"
#include "sequence.h"

namespace mhub::sched {

struct Scheduler::State {
  using Queue = std::set<Sequence*, Precedes>;

  explicit State(const SchedulerConfig& c);

  int64_t blocks_for(int64_t tokens) const { return (tokens + config.block_size - 1) / config.block_size; }
  Sequence* find(SeqId id) const;
  void remove(Sequence& sequence);

  // schedule(), part by part.
  void plan(Sequence& sequence, ScheduledBatch& batch);
  bool make_room(Sequence& sequence);  // for its next token, preempting others if need be
  Sequence* victim_behind(const Sequence& sequence) const;
  void preempt(Sequence& sequence);
  std::vector<BlockId> cached_prefix(const Sequence& sequence) const;
  bool worth_waiting(const Sequence& sequence, int64_t cached_tokens) const;
  bool admit(Sequence& sequence, const std::vector<BlockId>& prefix);
  // commit(), part by part.
  void seal_full_blocks(Sequence& sequence);
  void distrust_blocks(const Sequence& sequence);

  SchedulerConfig config;
  PrefixCache cache;
  BlockPool pool;
  std::unordered_map<SeqId, std::unique_ptr<Sequence>> sequences;
  Queue running, waiting;
  std::vector<std::pair<SeqId, int64_t>> in_flight;  // of the last schedule(): sequence, tokens
  uint64_t next_arrival = 0;
  uint64_t preemptions = 0, prefix_queries_tokens = 0, prefix_hit_tokens = 0;
};

}  // namespace mhub::sched
