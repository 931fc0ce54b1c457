// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

namespace mhub {

// Layers that see the same positions form a group with block tables of its own. `windows` names the groups: positions
// that a query of the group sees, its own included, or 0 for all before it. These are the one statement of how many KV
// blocks a sequence takes: memory is planned and requests are admitted by it.

inline int64_t blocks_for_tokens(int64_t tokens, int64_t block_size) {
  return (tokens + block_size - 1) / block_size;
}

// First block that a query at `position` still sees.
inline int64_t first_visible_block(int64_t window, int64_t position, int64_t block_size) {
  return window == 0 ? 0 : std::max<int64_t>(0, position - window + 1) / block_size;
}

inline constexpr int64_t kMostStepsInFlight = 2;

// Most blocks that a sequence of `tokens` tokens holds at a time, when a step computes at most `step_tokens`.
inline int64_t most_blocks_of_sequence(std::span<const int64_t> windows, int64_t block_size, int64_t step_tokens,
                                       int64_t tokens) {
  int64_t total = 0;
  for (const int64_t window : windows) {
    const int64_t all = blocks_for_tokens(tokens, block_size);
    const int64_t span = window + std::min(kMostStepsInFlight * step_tokens, tokens) - 1;  // positions read or written
    total += window == 0 ? all : std::min(all, blocks_for_tokens(span, block_size) + 1);
  }
  return total;
}

}  // namespace mhub
