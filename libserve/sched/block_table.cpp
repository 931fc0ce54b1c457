// SPDX-License-Identifier: Apache-2.0
#include "block_table.h"

namespace mhub::sched {

BlockTable& BlockTable::operator=(BlockTable&& other) noexcept {
  if (this == &other) return *this;
  clear();
  pool_ = other.pool_;
  blocks_.swap(other.blocks_);
  return *this;
}

bool BlockTable::append_new() {
  const auto block = pool_->take();
  if (block) blocks_.push_back(*block);
  return block.has_value();
}

void BlockTable::append_shared(BlockId block) {
  pool_->hold(block);
  blocks_.push_back(block);
}

void BlockTable::replace(size_t index, BlockId block) {
  pool_->hold(block);
  pool_->release(blocks_.at(index));
  blocks_[index] = block;
}

void BlockTable::clear() {
  // Last block first, so that a prefix outlives what follows it in the order of eviction.
  for (; !blocks_.empty(); blocks_.pop_back()) pool_->release(blocks_.back());
}

}  // namespace mhub::sched
