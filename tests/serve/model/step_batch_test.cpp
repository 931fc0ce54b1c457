// SPDX-License-Identifier: Apache-2.0
#include "layers/step_batch.h"

#include <gtest/gtest.h>

#include "mhub/base/check.h"

namespace mhub::model {
namespace {

TEST(StepBatch, PaddingRowsHaveNoContextAndNoSlot) {
  const std::vector<int32_t> ids = {7}, table = {3, 5};
  StepBatch batch;
  batch.clear();
  batch.add(ids, 17, table, 16);
  batch.pad(4);
  batch.finish();
  EXPECT_EQ(batch.tokens, (std::vector<int32_t>{7, 0, 0, 0}));
  EXPECT_EQ(batch.positions, (std::vector<int32_t>{17, 0, 0, 0}));
  EXPECT_EQ(batch.groups[0].slot_mapping, (std::vector<int32_t>{5 * 16 + 1, -1, -1, -1}));
  EXPECT_EQ(batch.cu_seqlens_q, (std::vector<int32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(batch.seq_lens, (std::vector<int32_t>{18, 0, 0, 0}));
  EXPECT_EQ(batch.groups[0].block_tables, (std::vector<int32_t>{3, 5, 0, 0, 0, 0, 0, 0}));
  batch.clear();
  batch.pad(0);
  EXPECT_EQ(batch.num_tokens(), 0);
}

TEST(StepBatch, EachGroupHasItsOwnBlocksAndOwnOnesStandForThoseBehindTheWindow) {
  const std::vector<int32_t> ids = {7}, table = {3, 5, 6}, windowed = {-1, 8, 9};
  const std::vector<std::span<const int32_t>> more = {windowed};
  StepBatch batch(2);
  batch.clear();
  batch.add(ids, 33, table, 16, more);
  batch.finish();
  EXPECT_EQ(batch.groups[0].slot_mapping, (std::vector<int32_t>{6 * 16 + 1}));
  EXPECT_EQ(batch.groups[1].slot_mapping, (std::vector<int32_t>{9 * 16 + 1}));
  EXPECT_EQ(batch.groups[0].block_tables, table);
  EXPECT_EQ(batch.groups[1].block_tables, (std::vector<int32_t>{8, 8, 9}));
  EXPECT_EQ(batch.attention(1).block_tables.data(), batch.groups[1].block_tables.data());
  batch.clear();
  const std::vector<int32_t> gone = {3, 5, -1};
  EXPECT_THROW(batch.add(ids, 33, gone, 16, more), InternalError);  // it would be written
}

}  // namespace
}  // namespace mhub::model
