// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>

#include "block_pool.h"
#include "mhub/base/kv_blocks.h"
#include "prefix_cache.h"
#include "sequence.h"

namespace mhub::sched {

struct Scheduler::State {
  using Queue = std::set<Sequence*, Precedes>;

  explicit State(const SchedulerConfig& c);

  int64_t blocks_for(int64_t tokens) const { return (tokens + config.block_size - 1) / config.block_size; }
  Sequence* find(SeqId id) const;
  void remove(Sequence& sequence);

  struct InFlight;
  struct Planned;
  // schedule(), part by part.
  void plan_step(InFlight& step);
  void plan(Sequence& sequence, InFlight& step);
  SequenceBlocks::Reach reach_of(const Sequence& sequence) const;
  bool make_room(Sequence& sequence);  // for its next step, preempting others if need be
  void make_rooms();
  Sequence* victim_behind(const Sequence& sequence) const;
  void preempt(Sequence& sequence);
  void restart(Sequence& sequence);  // it loses its seat, and all that was computed for it
  bool outgrown(const Sequence& sequence) const;
  void lengthen(Sequence& sequence);
  PrefixCache::Prefix cached_prefix(const Sequence& sequence) const;
  bool worth_waiting(const Sequence& sequence, int64_t cached_tokens) const;
  bool admit(Sequence& sequence, const PrefixCache::Prefix& prefix);
  // commit(), part by part.
  std::optional<SeqUpdate> apply(const Planned& row, const SeqResult& result);
  void seal_full_blocks(Sequence& sequence);
  void distrust_blocks(const Sequence& sequence);

  SchedulerConfig config;
  PrefixCache cache;
  BlockPool pool;
  std::unordered_map<SeqId, std::unique_ptr<Sequence>> sequences;
  Queue running, waiting;
  // A row of a batch in flight.
  struct Planned {
    SeqId id;
    int64_t end;        // tokens that are computed after it
    bool sampled;       // the token at `end`
    uint32_t restarts;  // of the sequence when it was planned
  };
  struct InFlight {
    ScheduledBatch batch;
    std::vector<Planned> rows;
  };
  std::array<InFlight, kMostStepsInFlight> steps;  // used in turn
  size_t oldest_step = 0;
  int num_in_flight = 0;
  std::vector<BlockId> sealing;    // of seal_full_blocks(), by group
  std::vector<SeqUpdate> updates;  // of the last commit()
  uint64_t next_arrival = 0;
  uint64_t preemptions = 0, prefix_queries_tokens = 0, prefix_hit_tokens = 0;
};

}  // namespace mhub::sched
