// SPDX-License-Identifier: Apache-2.0
#include "layers/step_batch.h"

#include <algorithm>

#include "mhub/base/check.h"

namespace mhub::model {

void StepBatch::reserve(int64_t most_tokens, int64_t most_sequences, int64_t most_blocks) {
  for (auto* by_token : {&tokens, &positions, &token_sources, &logit_rows})
    by_token->reserve(static_cast<size_t>(most_tokens));
  const auto sequences = static_cast<size_t>(most_sequences);
  cu_seqlens_q.reserve(sequences + 1);
  seq_lens.reserve(sequences);
  samples.reserve(sequences);
  for (Group& group : groups) {
    group.slot_mapping.reserve(static_cast<size_t>(most_tokens));
    group.tables.reserve(sequences);
    group.block_tables.reserve(sequences * static_cast<size_t>(most_blocks));
  }
}

void StepBatch::clear() {
  tokens.clear();
  positions.clear();
  seq_lens.clear();
  for (Group& group : groups) {
    group.slot_mapping.clear();
    group.tables.clear();
  }
  cu_seqlens_q.assign(1, 0);
  token_sources.clear();
  logit_rows.clear();
  samples.clear();
  max_blocks = 0;
}

void StepBatch::take_last_token(int32_t source) {
  token_sources.resize(tokens.size(), -1);
  tokens.back() = 0;
  token_sources.back() = source;
}

void StepBatch::add(std::span<const int32_t> ids, int32_t first_position, std::span<const int32_t> block_table,
                    int64_t block_size, std::span<const std::span<const int32_t>> more_tables, int32_t rope_shift) {
  const int64_t context = first_position + static_cast<int64_t>(ids.size());
  const auto blocks = static_cast<size_t>((context + block_size - 1) / block_size);
  MHUB_CHECK(!ids.empty() && first_position >= 0 && more_tables.size() + 1 == groups.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    const auto table = g == 0 ? block_table : more_tables[g - 1];
    MHUB_CHECK(table.size() >= blocks);
    for (int64_t position = first_position; position < context; ++position) {
      const int64_t block = table[static_cast<size_t>(position / block_size)];
      MHUB_CHECK(block >= 0);
      groups[g].slot_mapping.push_back(static_cast<int32_t>(block * block_size + position % block_size));
    }
    groups[g].tables.push_back(table.first(blocks));
  }
  for (int64_t position = first_position; position < context; ++position)
    positions.push_back(static_cast<int32_t>(position) + rope_shift);
  tokens.insert(tokens.end(), ids.begin(), ids.end());
  cu_seqlens_q.push_back(static_cast<int32_t>(tokens.size()));
  seq_lens.push_back(static_cast<int32_t>(context));
  max_blocks = std::max(max_blocks, static_cast<int64_t>(blocks));
}

void StepBatch::pad(int64_t rows) {
  while (num_tokens() < rows) {
    tokens.push_back(0);
    positions.push_back(0);
    for (Group& group : groups) {
      group.slot_mapping.push_back(-1);
      group.tables.emplace_back();
    }
    cu_seqlens_q.push_back(static_cast<int32_t>(tokens.size()));
    seq_lens.push_back(0);
  }
}

void StepBatch::fill_with_padding(int64_t rows) {
  clear();
  const auto count = static_cast<size_t>(rows);
  tokens.assign(count, 0);
  positions.assign(count, 0);
  for (Group& group : groups) {
    group.slot_mapping.assign(count, -1);
    group.tables.emplace_back();
  }
  cu_seqlens_q.push_back(static_cast<int32_t>(rows));
  seq_lens.push_back(0);
}

void StepBatch::finish() {
  if (!token_sources.empty()) token_sources.resize(tokens.size(), -1);
  for (Group& group : groups) {
    group.block_tables.assign(group.tables.size() * static_cast<size_t>(max_blocks), 0);
    for (size_t s = 0; s < group.tables.size(); ++s) {
      const auto table = group.tables[s];
      const auto row = group.block_tables.begin() + static_cast<int64_t>(s) * max_blocks;
      const auto held = std::find_if(table.begin(), table.end(), [](int32_t block) { return block >= 0; });
      // Blocks behind the window are masked, whatever they are: a block of the sequence's own stands for them.
      if (held != table.end()) std::fill(row, row + (held - table.begin()), *held);
      std::copy(held, table.end(), row + (held - table.begin()));
    }
    group.tables.clear();
  }
}

}  // namespace mhub::model
