// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace mhub::model {

// Block tables of a sequence that nobody schedules (evaluation, benchmarks): every position has a block of its own in
// each group of layers, windows or not.
class FixedBlocks {
 public:
  // Takes blocks [first, first + count()).
  FixedBlocks(size_t num_groups, int64_t block_size, int64_t tokens, int64_t first = 0)
      : per_group_((tokens + block_size - 1) / block_size),
        blocks_(num_groups * static_cast<size_t>(per_group_)),
        more_(num_groups - 1) {
    std::iota(blocks_.begin(), blocks_.end(), static_cast<int32_t>(first));
    for (size_t g = 1; g < num_groups; ++g) more_[g - 1] = group(g);
  }
  FixedBlocks(FixedBlocks&&) = default;
  FixedBlocks& operator=(FixedBlocks&&) = default;
  FixedBlocks(const FixedBlocks&) = delete;
  FixedBlocks& operator=(const FixedBlocks&) = delete;

  int64_t count() const { return static_cast<int64_t>(blocks_.size()); }
  std::span<const int32_t> table() const { return group(0); }                      // StepRow::block_table
  std::span<const std::span<const int32_t>> more_tables() const { return more_; }  // StepRow::more_block_tables

 private:
  std::span<const int32_t> group(size_t g) const {
    return std::span(blocks_).subspan(g * static_cast<size_t>(per_group_), static_cast<size_t>(per_group_));
  }
  int64_t per_group_;
  std::vector<int32_t> blocks_;
  std::vector<std::span<const int32_t>> more_;
};

}  // namespace mhub::model
