// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "mhub/base/check.h"
#include "mhub/base/kv_blocks.h"
#include "scheduler_state.h"

namespace mhub::sched {

// The numbers are those of libserve/README.md.
void Scheduler::check_invariants() const {
  const State& s = *state_;
  std::vector<int> holders(static_cast<size_t>(s.pool.total()), 0);
  MHUB_CHECK(s.running.size() + s.waiting.size() == s.sequences.size());
  MHUB_CHECK(static_cast<int64_t>(s.running.size()) <= s.config.max_num_seqs);
  for (const Sequence* sequence : s.waiting) {  // 3
    MHUB_CHECK(s.find(sequence->id) == sequence && !s.running.count(const_cast<Sequence*>(sequence)));
    MHUB_CHECK(sequence->num_planned == 0 && sequence->num_computed == 0 && sequence->num_sealed == 0);
    for (const BlockTable& table : sequence->blocks.groups()) MHUB_CHECK(table.size() == 0);
  }
  for (const Sequence* sequence : s.running) {  // 4
    MHUB_CHECK(s.find(sequence->id) == sequence);
    MHUB_CHECK(sequence->num_computed < sequence->num_tokens() && sequence->num_tokens() <= sequence->max_total);
    MHUB_CHECK(sequence->num_computed <= sequence->num_planned && sequence->num_left() >= 0);
    MHUB_CHECK(s.num_in_flight > 0 || (sequence->num_computed == sequence->num_planned && sequence->num_left() > 0));
    MHUB_CHECK(sequence->num_sealed * s.config.block_size <= sequence->num_computed);
    for (size_t g = 0; g < s.config.windows.size(); ++g) {
      const BlockTable& table = sequence->blocks.groups()[g];
      MHUB_CHECK(static_cast<int64_t>(table.size()) >= s.blocks_for(sequence->num_planned));
      MHUB_CHECK(static_cast<int64_t>(table.size()) <= s.blocks_for(sequence->num_tokens()));
      // 5
      MHUB_CHECK(static_cast<int64_t>(table.num_gone()) ==
                 first_visible_block(s.config.windows[g], sequence->num_computed, s.config.block_size));
      for (const BlockId block : table.held()) ++holders.at(static_cast<size_t>(block));
      // A block that is still written belongs to one sequence.
      for (auto i = static_cast<size_t>(sequence->num_computed / s.config.block_size); i < table.size(); ++i)
        MHUB_CHECK(s.pool.holders(table[i]) == 1 && !s.pool.is_cached(table[i]));
    }
  }
  int64_t held = 0, cached = 0, known = 0;
  for (BlockId block = 0; block < s.pool.total(); ++block) {  // 1, 2
    MHUB_CHECK(s.pool.holders(block) == holders[static_cast<size_t>(block)]);
    MHUB_CHECK(s.pool.is_cached(block) == s.cache.knows(block));
    known += s.cache.knows(block) ? 1 : 0;
    held += holders[static_cast<size_t>(block)] > 0 ? 1 : 0;
    cached += holders[static_cast<size_t>(block)] == 0 && s.pool.is_cached(block) ? 1 : 0;
  }
  MHUB_CHECK(held == s.pool.num_held() && cached == s.pool.num_cached());
  MHUB_CHECK(held + cached + s.pool.num_unused() == s.pool.total());
  MHUB_CHECK(known == static_cast<int64_t>(s.cache.size()));
}

}  // namespace mhub::sched
