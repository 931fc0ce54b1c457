// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "block_pool.h"

namespace mhub::sched {

// The blocks of one sequence in one group of layers, in order of position; the first ones are gone (kNoBlock) where a
// window has passed them. Move-only; gives the blocks back when destroyed or cleared.
class BlockTable {
 public:
  explicit BlockTable(BlockPool& pool) : pool_(&pool) {}
  BlockTable(BlockTable&& other) noexcept
      : pool_(other.pool_), blocks_(std::move(other.blocks_)), num_gone_(std::exchange(other.num_gone_, 0)) {
    other.blocks_.clear();
  }
  BlockTable& operator=(BlockTable&& other) noexcept;
  BlockTable(const BlockTable&) = delete;
  BlockTable& operator=(const BlockTable&) = delete;
  ~BlockTable() { clear(); }

  void reserve(size_t blocks) { blocks_.reserve(blocks); }
  bool append_new();  // false when the pool has none
  void append_shared(BlockId block);
  void append_gone();                         // only while all before are gone
  void replace(size_t index, BlockId block);  // by a block with the same content
  void drop_before(size_t index);             // gives back the blocks below it
  void clear();

  std::span<const BlockId> blocks() const { return blocks_; }
  std::span<const BlockId> held() const { return std::span(blocks_).subspan(num_gone_); }
  size_t size() const { return blocks_.size(); }
  size_t num_gone() const { return num_gone_; }
  BlockId operator[](size_t index) const { return blocks_.at(index); }

 private:
  BlockPool* pool_;
  std::vector<BlockId> blocks_;
  size_t num_gone_ = 0;
};

}  // namespace mhub::sched
