// SPDX-License-Identifier: Apache-2.0
#include "block_pool.h"

#include "mhub/base/check.h"

namespace mhub::sched {

BlockPool::BlockPool(int64_t num_blocks, std::function<void(BlockId)> on_evict)
    : blocks_(static_cast<size_t>(num_blocks)), on_evict_(std::move(on_evict)) {
  for (BlockId block = 0; block < num_blocks; ++block) append(unused_, block);
}

std::optional<BlockId> BlockPool::take() {
  if (unused_.size == 0) {
    const auto victim = least_recently_used();
    if (!victim) return std::nullopt;
    on_evict_(*victim);
    set_cached(*victim, false);
  }
  const BlockId block = unused_.first;
  unlink(unused_, block);
  at(block).holders = 1;
  return block;
}

void BlockPool::hold(BlockId block) {
  Block& held = at(block);
  MHUB_CHECK(held.holders > 0 || held.cached);
  if (held.holders == 0) unlink(evictable_, block);
  ++held.holders;
}

void BlockPool::release(BlockId block) {
  Block& released = at(block);
  MHUB_CHECK(released.holders > 0);
  if (--released.holders == 0) append(list_of(released), block);
}

void BlockPool::set_cached(BlockId block, bool cached) {
  Block& changed = at(block);
  if (changed.cached == cached) return;
  if (changed.holders == 0) unlink(list_of(changed), block);
  changed.cached = cached;
  if (changed.holders == 0) append(list_of(changed), block);
}

std::optional<BlockId> BlockPool::least_recently_used() const {
  return evictable_.size > 0 ? std::optional(evictable_.first) : std::nullopt;
}

void BlockPool::append(List& list, BlockId block) {
  at(block).previous = list.last;
  at(block).next = kNone;
  (list.last == kNone ? list.first : at(list.last).next) = block;
  list.last = block;
  ++list.size;
}

void BlockPool::unlink(List& list, BlockId block) {
  const Block& gone = at(block);
  (gone.previous == kNone ? list.first : at(gone.previous).next) = gone.next;
  (gone.next == kNone ? list.last : at(gone.next).previous) = gone.previous;
  --list.size;
}

}  // namespace mhub::sched
