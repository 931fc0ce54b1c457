// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "block_table.h"
#include "prefix_cache.h"

namespace mhub::sched {

// The blocks of one sequence: a table for each group of layers. Groups with a window hold what their window and the
// steps in flight touch, the others everything.
class SequenceBlocks {
 public:
  // `windows` outlives this.
  SequenceBlocks(BlockPool& pool, std::span<const int64_t> windows, int64_t block_size);

  // Positions that a sequence is to have blocks for: `all` in groups without a window, `soon` in the others.
  struct Reach {
    int64_t all = 0, soon = 0;
  };
  void reserve(int64_t tokens);
  int64_t lacking(const Reach& reach) const;  // blocks
  bool grow(const Reach& reach);              // false when the pool has no more; what was taken is kept
  // Into empty tables.
  void adopt(const PrefixCache::Prefix& prefix);
  // Gives back what no query from `position` on sees.
  void drop_unseen(int64_t position);
  void clear();

  std::span<BlockTable> groups() { return tables_; }
  std::span<const BlockTable> groups() const { return tables_; }
  // Tables of the groups after the first, valid until the next change.
  std::span<const std::span<const BlockId>> more_tables();

 private:
  int64_t end_of(size_t group, const Reach& reach) const;

  std::span<const int64_t> windows_;
  int64_t block_size_;
  std::vector<BlockTable> tables_;
  std::vector<std::span<const BlockId>> more_tables_;
};

}  // namespace mhub::sched
