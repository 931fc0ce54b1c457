// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "mhub/sched/scheduler.h"

namespace mhub::sched {

// Who uses which KV block. A block is in exactly one state:
//   unused   nobody holds it, its content means nothing
//   held     in `holders` > 0 block tables (its content may also be in the prefix cache)
//   cached   nobody holds it, its content is in the prefix cache; the least recently used one is evicted first
class BlockPool {
 public:
  BlockPool(int64_t num_blocks, std::function<void(BlockId)> on_evict);

  // A block whose content may be overwritten, held once. nullopt when every block is held.
  std::optional<BlockId> take();
  void hold(BlockId block);     // one more holder of a held or cached block
  void release(BlockId block);  // one holder less
  // Whether the prefix cache knows the block's content.
  void set_cached(BlockId block, bool cached);

  int holders(BlockId block) const { return at(block).holders; }
  bool is_cached(BlockId block) const { return at(block).cached; }
  int64_t total() const { return static_cast<int64_t>(blocks_.size()); }
  int64_t num_unused() const { return unused_.size; }
  int64_t num_cached() const { return evictable_.size; }
  int64_t num_held() const { return total() - num_unused() - num_cached(); }
  int64_t num_available() const { return num_unused() + num_cached(); }  // what take() can still give
  std::optional<BlockId> least_recently_used() const;                    // of the cached ones

 private:
  static constexpr BlockId kNone = -1;
  struct Block {
    int holders = 0;
    bool cached = false;
    BlockId previous = kNone, next = kNone;  // in the list of its state; held blocks are in none
  };
  struct List {
    BlockId first = kNone, last = kNone;
    int64_t size = 0;
  };
  Block& at(BlockId block) { return blocks_.at(static_cast<size_t>(block)); }
  const Block& at(BlockId block) const { return blocks_.at(static_cast<size_t>(block)); }
  List& list_of(const Block& block) { return block.cached ? evictable_ : unused_; }
  void append(List& list, BlockId block);
  void unlink(List& list, BlockId block);

  std::vector<Block> blocks_;
  List unused_, evictable_;
  std::function<void(BlockId)> on_evict_;
};

}  // namespace mhub::sched
