// SPDX-License-Identifier: Apache-2.0
#include "block_pool.h"

#include <gtest/gtest.h>

#include "block_table.h"
#include "mhub/base/check.h"

namespace mhub::sched {
namespace {

struct Pool {
  std::vector<BlockId> evicted;
  BlockPool blocks{4, [this](BlockId block) { evicted.push_back(block); }};
};

TEST(BlockPool, GivesEachBlockOnceAndThenNone) {
  Pool pool;
  std::vector<bool> seen(4, false);
  for (int i = 0; i < 4; ++i) {
    const auto block = pool.blocks.take();
    ASSERT_TRUE(block);
    EXPECT_FALSE(seen[static_cast<size_t>(*block)]);
    seen[static_cast<size_t>(*block)] = true;
  }
  EXPECT_FALSE(pool.blocks.take());
  EXPECT_EQ(pool.blocks.num_held(), 4);
  pool.blocks.release(2);
  EXPECT_EQ(pool.blocks.take(), 2);
}

TEST(BlockPool, EvictsTheLeastRecentlyUsedOnlyWhenNothingIsUnused) {
  Pool pool;
  for (int i = 0; i < 3; ++i) pool.blocks.set_cached(*pool.blocks.take(), true);  // 0, 1, 2
  for (BlockId block : {1, 0, 2}) pool.blocks.release(block);
  pool.blocks.hold(1);  // used again: now the most recent
  pool.blocks.release(1);
  EXPECT_EQ(pool.blocks.num_cached(), 3);
  EXPECT_EQ(pool.blocks.take(), 3);
  EXPECT_TRUE(pool.evicted.empty());
  EXPECT_EQ(pool.blocks.take(), 0);
  EXPECT_EQ(pool.blocks.take(), 2);
  EXPECT_EQ(pool.blocks.take(), 1);
  EXPECT_EQ(pool.evicted, (std::vector<BlockId>{0, 2, 1}));
  EXPECT_FALSE(pool.blocks.is_cached(1));
}

TEST(BlockPool, ASharedBlockIsFreeAfterItsLastHolder) {
  Pool pool;
  const BlockId block = *pool.blocks.take();
  pool.blocks.hold(block);
  pool.blocks.release(block);
  EXPECT_EQ(pool.blocks.num_held(), 1);
  pool.blocks.release(block);
  EXPECT_EQ(pool.blocks.num_held(), 0);
  EXPECT_THROW(pool.blocks.release(block), InternalError);
  EXPECT_THROW(pool.blocks.hold(block), InternalError);  // nobody knows what an unused block holds
}

TEST(BlockTable, GivesItsBlocksBackHoweverItEnds) {
  Pool pool;
  {
    BlockTable first(pool.blocks);
    ASSERT_TRUE(first.append_new() && first.append_new());
    BlockTable second(std::move(first));
    EXPECT_EQ(second.size(), 2u);
    BlockTable third(pool.blocks);
    third.append_shared(second[0]);
    EXPECT_EQ(pool.blocks.holders(second[0]), 2);
    third = std::move(second);
    EXPECT_EQ(pool.blocks.num_held(), 2);
    EXPECT_EQ(pool.blocks.holders(third[0]), 1);
  }
  EXPECT_EQ(pool.blocks.num_held(), 0);
}

TEST(BlockTable, ThePrefixIsEvictedLast) {
  Pool pool;
  BlockTable table(pool.blocks);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(table.append_new());
  for (const BlockId block : table.blocks()) pool.blocks.set_cached(block, true);
  const std::vector<BlockId> order(table.blocks().rbegin(), table.blocks().rend());
  table.clear();
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(pool.blocks.take());
  EXPECT_EQ(pool.evicted, order);
}

}  // namespace
}  // namespace mhub::sched
