// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "mhub/kernels/backend.h"

namespace mhub::model {

// The ragged batch of one step, flattened: T tokens of several sequences behind one another. Reused between steps.
struct StepBatch {
  std::vector<int32_t> tokens, positions;       // [T]; positions are rows of the rope table
  std::vector<int32_t> cu_seqlens_q, seq_lens;  // [sequences + 1], [sequences]
  // Where keys and values are: by group of layers (layers/kv_groups.h).
  struct Group {
    std::vector<int32_t> slot_mapping;             // [T]
    std::vector<int32_t> block_tables;             // [sequences, max_blocks]
    std::vector<std::span<const int32_t>> tables;  // borrowed between add() and finish()
  };
  std::vector<Group> groups;
  std::vector<int32_t> token_sources;        // [T] where take_last_token() was called, else empty
  std::vector<int32_t> logit_rows;           // rows of hidden states whose logits are wanted
  std::vector<kernels::SampleSpec> samples;  // of the rows that are drawn on the device
  int64_t max_blocks = 0;

  explicit StepBatch(size_t num_groups = 1) : groups(num_groups) {}
  int64_t num_tokens() const { return static_cast<int64_t>(tokens.size()); }
  // So that no step of that size allocates.
  void reserve(int64_t most_tokens, int64_t most_sequences, int64_t most_blocks);
  void clear();
  // block_table is the first group's, more_tables are the others'. Precondition: each covers first_position +
  // ids.size() positions of block_size; what no query sees may be -1. rope_shift: from a position to its row of the
  // rope table.
  void add(std::span<const int32_t> ids, int32_t first_position, std::span<const int32_t> block_table,
           int64_t block_size, std::span<const std::span<const int32_t>> more_tables = {}, int32_t rope_shift = 0);
  // The last token added is the one that the step before drew as its `source`-th.
  void take_last_token(int32_t source);
  // Adds sequences of one token that nothing is read from or written to, up to `rows` tokens.
  void pad(int64_t rows);
  // Instead of add(): one sequence of `rows` tokens that nothing is read from or written to.
  void fill_with_padding(int64_t rows);
  // After the last add(): lays each group's block tables out as one matrix.
  void finish();
  kernels::StepInputs inputs() const {
    return {tokens, positions, groups[0].slot_mapping, attention(0), token_sources, logit_rows, samples};
  }
  kernels::AttentionMetadata attention(size_t group) const {
    return {cu_seqlens_q, seq_lens, groups[group].block_tables, max_blocks};
  }
};

}  // namespace mhub::model
