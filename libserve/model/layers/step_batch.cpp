// SPDX-License-Identifier: Apache-2.0
#include "layers/step_batch.h"

#include <algorithm>

#include "mhub/base/check.h"

namespace mhub::model {

void StepBatch::reserve(int64_t most_tokens, int64_t most_sequences, int64_t most_blocks) {
  for (auto* by_token : {&tokens, &positions, &slot_mapping, &token_sources, &logit_rows})
    by_token->reserve(static_cast<size_t>(most_tokens));
  const auto sequences = static_cast<size_t>(most_sequences);
  cu_seqlens_q.reserve(sequences + 1);
  seq_lens.reserve(sequences);
  samples.reserve(sequences);
  tables_.reserve(sequences);
  block_tables.reserve(sequences * static_cast<size_t>(most_blocks));
}

void StepBatch::clear() {
  tokens.clear();
  positions.clear();
  slot_mapping.clear();
  seq_lens.clear();
  block_tables.clear();
  cu_seqlens_q.assign(1, 0);
  token_sources.clear();
  logit_rows.clear();
  samples.clear();
  tables_.clear();
  max_blocks = 0;
}

void StepBatch::take_last_token(int32_t source) {
  token_sources.resize(tokens.size(), -1);
  tokens.back() = 0;
  token_sources.back() = source;
}

void StepBatch::add(std::span<const int32_t> ids, int32_t first_position, std::span<const int32_t> block_table,
                    int64_t block_size) {
  const int64_t context = first_position + static_cast<int64_t>(ids.size());
  const auto blocks = static_cast<size_t>((context + block_size - 1) / block_size);
  MHUB_CHECK(!ids.empty() && first_position >= 0 && block_table.size() >= blocks);
  for (int64_t position = first_position; position < context; ++position) {
    const int64_t block = block_table[static_cast<size_t>(position / block_size)];
    positions.push_back(static_cast<int32_t>(position));
    slot_mapping.push_back(static_cast<int32_t>(block * block_size + position % block_size));
  }
  tokens.insert(tokens.end(), ids.begin(), ids.end());
  cu_seqlens_q.push_back(static_cast<int32_t>(tokens.size()));
  seq_lens.push_back(static_cast<int32_t>(context));
  tables_.push_back(block_table.first(blocks));
  max_blocks = std::max(max_blocks, static_cast<int64_t>(blocks));
}

void StepBatch::pad(int64_t rows) {
  while (num_tokens() < rows) {
    tokens.push_back(0);
    positions.push_back(0);
    slot_mapping.push_back(-1);
    cu_seqlens_q.push_back(static_cast<int32_t>(tokens.size()));
    seq_lens.push_back(0);
    tables_.emplace_back();
  }
}

void StepBatch::fill_with_padding(int64_t rows) {
  clear();
  const auto count = static_cast<size_t>(rows);
  tokens.assign(count, 0);
  positions.assign(count, 0);
  slot_mapping.assign(count, -1);
  cu_seqlens_q.push_back(static_cast<int32_t>(rows));
  seq_lens.push_back(0);
  tables_.emplace_back();
}

void StepBatch::finish() {
  if (!token_sources.empty()) token_sources.resize(tokens.size(), -1);
  block_tables.assign(tables_.size() * static_cast<size_t>(max_blocks), 0);
  for (size_t s = 0; s < tables_.size(); ++s)
    std::copy(tables_[s].begin(), tables_[s].end(), block_tables.begin() + static_cast<int64_t>(s) * max_blocks);
  tables_.clear();
}

}  // namespace mhub::model
