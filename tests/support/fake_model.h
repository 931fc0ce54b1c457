// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mhub::test {

// The next token of a "model" whose answer depends on every token before it.
inline int32_t fake_next_token(std::span<const int32_t> context, int32_t vocab) {
  uint64_t hash = 1469598103934665603u;
  for (const int32_t token : context) hash = (hash ^ static_cast<uint32_t>(token)) * 1099511628211u;
  return static_cast<int32_t>((hash >> 20) % static_cast<uint64_t>(vocab));
}

// What a sequence must produce however its steps were cut, preempted or shared.
inline std::vector<int32_t> fake_generate(std::vector<int32_t> prompt, int64_t count, int32_t vocab) {
  std::vector<int32_t> output;
  for (int64_t i = 0; i < count; ++i) {
    output.push_back(fake_next_token(prompt, vocab));
    prompt.push_back(output.back());
  }
  return output;
}

// Paged memory that stands for keys and values: it remembers the token at each slot, and the context of a sequence is
// read back through its block table only. A wrong, stale or foreign block changes the answer.
class FakeKv {
 public:
  FakeKv(int64_t num_blocks, int64_t block_size)
      : block_size_(block_size), slots_(static_cast<size_t>(num_blocks * block_size), -1) {}

  void write(std::span<const int32_t> tokens, int64_t start, std::span<const int32_t> table, int32_t tag = 0) {
    for (size_t i = 0; i < tokens.size(); ++i) slot(start + static_cast<int64_t>(i), table) = tokens[i] ^ tag;
  }
  std::vector<int32_t> read(int64_t count, std::span<const int32_t> table, int32_t tag = 0) {
    return read_range(0, count, table, tag);
  }
  // Positions [first, last).
  std::vector<int32_t> read_range(int64_t first, int64_t last, std::span<const int32_t> table, int32_t tag) {
    std::vector<int32_t> context;
    for (int64_t position = first; position < last; ++position) context.push_back(slot(position, table) ^ tag);
    return context;
  }

 private:
  int32_t& slot(int64_t position, std::span<const int32_t> table) {
    const int32_t block = table[static_cast<size_t>(position / block_size_)];
    return slots_.at(static_cast<size_t>(block * block_size_ + position % block_size_));
  }
  int64_t block_size_;
  std::vector<int32_t> slots_;
};

}  // namespace mhub::test
