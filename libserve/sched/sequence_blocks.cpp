// SPDX-License-Identifier: Apache-2.0
#include "sequence_blocks.h"

#include "mhub/base/kv_blocks.h"

namespace mhub::sched {

SequenceBlocks::SequenceBlocks(BlockPool& pool, std::span<const int64_t> windows, int64_t block_size)
    : windows_(windows), block_size_(block_size), more_tables_(windows.size() - 1) {
  for (size_t g = 0; g < windows.size(); ++g) tables_.emplace_back(pool);
}

int64_t SequenceBlocks::end_of(size_t group, const Reach& reach) const {
  return blocks_for_tokens(windows_[group] == 0 ? reach.all : reach.soon, block_size_);
}

void SequenceBlocks::reserve(int64_t tokens) {
  for (BlockTable& table : tables_) table.reserve(static_cast<size_t>(blocks_for_tokens(tokens, block_size_)));
}

int64_t SequenceBlocks::lacking(const Reach& reach) const {
  int64_t blocks = 0;
  for (size_t g = 0; g < tables_.size(); ++g)
    blocks += std::max<int64_t>(0, end_of(g, reach) - static_cast<int64_t>(tables_[g].size()));
  return blocks;
}

bool SequenceBlocks::grow(const Reach& reach) {
  for (size_t g = 0; g < tables_.size(); ++g) {
    while (static_cast<int64_t>(tables_[g].size()) < end_of(g, reach)) {
      if (!tables_[g].append_new()) return false;
    }
  }
  return true;
}

void SequenceBlocks::adopt(const PrefixCache::Prefix& prefix) {
  for (size_t g = 0; g < tables_.size() && prefix.size > 0; ++g) {
    for (const BlockId block : prefix.tables[g]) {
      if (block == kNoBlock)
        tables_[g].append_gone();
      else
        tables_[g].append_shared(block);
    }
  }
}

void SequenceBlocks::drop_unseen(int64_t position) {
  for (size_t g = 0; g < tables_.size(); ++g)
    tables_[g].drop_before(static_cast<size_t>(first_visible_block(windows_[g], position, block_size_)));
}

void SequenceBlocks::clear() {
  for (BlockTable& table : tables_) table.clear();
}

std::span<const std::span<const BlockId>> SequenceBlocks::more_tables() {
  for (size_t g = 1; g < tables_.size(); ++g) more_tables_[g - 1] = tables_[g].blocks();
  return more_tables_;
}

}  // namespace mhub::sched
