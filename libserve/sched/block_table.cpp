// SPDX-License-Identifier: Apache-2.0
#include "block_table.h"

#include "mhub/base/check.h"

namespace mhub::sched {

BlockTable& BlockTable::operator=(BlockTable&& other) noexcept {
  if (this == &other) return *this;
  clear();
  pool_ = other.pool_;
  blocks_.swap(other.blocks_);
  std::swap(num_gone_, other.num_gone_);
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

void BlockTable::append_gone() {
  MHUB_CHECK(num_gone_ == blocks_.size());
  blocks_.push_back(kNoBlock);
  ++num_gone_;
}

void BlockTable::replace(size_t index, BlockId block) {
  MHUB_CHECK(index >= num_gone_);
  pool_->hold(block);
  pool_->release(blocks_.at(index));
  blocks_[index] = block;
}

void BlockTable::drop_before(size_t index) {
  for (; num_gone_ < std::min(index, blocks_.size()); ++num_gone_) {
    pool_->release(blocks_[num_gone_]);
    blocks_[num_gone_] = kNoBlock;
  }
}

void BlockTable::clear() {
  // Last block first, so that a prefix outlives what follows it in the order of eviction.
  for (; blocks_.size() > num_gone_; blocks_.pop_back()) pool_->release(blocks_.back());
  blocks_.clear();
  num_gone_ = 0;
}

}  // namespace mhub::sched
