// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "block_pool.h"

namespace mhub::sched {

// The blocks of one sequence, in order of position. Move-only; gives them back when destroyed or cleared.
class BlockTable {
 public:
  explicit BlockTable(BlockPool& pool) : pool_(&pool) {}
  BlockTable(BlockTable&& other) noexcept : pool_(other.pool_), blocks_(std::move(other.blocks_)) {
    other.blocks_.clear();
  }
  BlockTable& operator=(BlockTable&& other) noexcept;
  BlockTable(const BlockTable&) = delete;
  BlockTable& operator=(const BlockTable&) = delete;
  ~BlockTable() { clear(); }

  void reserve(size_t blocks) { blocks_.reserve(blocks); }
  bool append_new();  // false when the pool has none
  void append_shared(BlockId block);
  void replace(size_t index, BlockId block);  // by a block with the same content
  void clear();

  std::span<const BlockId> blocks() const { return blocks_; }
  size_t size() const { return blocks_.size(); }
  BlockId operator[](size_t index) const { return blocks_.at(index); }

 private:
  BlockPool* pool_;
  std::vector<BlockId> blocks_;
};

}  // namespace mhub::sched
