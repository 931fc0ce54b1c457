// SPDX-License-Identifier: Apache-2.0
// Groups of layers with a window hold their window's blocks and no more.
#include <gtest/gtest.h>

#include "fake_loop.h"

namespace mhub::sched::test {
namespace {

using mhub::test::fake_generate;

SchedulerConfig config_of(std::vector<int64_t> windows, int64_t num_blocks = 64) {
  auto config = small_config();  // blocks of 4, steps of 16
  config.windows = std::move(windows);
  config.num_blocks = num_blocks;
  return config;
}

TEST(SchedulerWindows, BlocksBehindTheWindowAreFreed) {
  auto config = config_of({0, 8, 8});
  config.enable_prefix_caching = false;
  FakeLoop loop(config);
  ASSERT_TRUE(loop.add(sequence(1, ramp(50), 40)));
  while (!loop.scheduler.idle()) {
    ASSERT_TRUE(loop.step());
    const int64_t held = loop.scheduler.stats().blocks_held;
    // All of 90 positions, and of each window 8 positions and a step of 16 at most.
    EXPECT_LE(held, 23 + 2 * (loop.steps > 8 ? 3 : 7));  // decoding from the fifth step on
  }
  EXPECT_EQ(loop.outputs[1], fake_generate(ramp(50), 40, kVocab));
}

// 6 sequences of 100 positions in 30 blocks of 4: only a window's worth of each fits.
TEST(SchedulerWindows, LongSequencesFitWhereOnlyWindowsAreHeld) {
  auto config = config_of({8}, 30);
  config.enable_prefix_caching = false;
  FakeLoop loop(config);
  for (SeqId id = 1; id <= 6; ++id) ASSERT_TRUE(loop.add(sequence(id, ramp(20, static_cast<TokenId>(id) * 50), 80)));
  loop.run_to_end();
  EXPECT_EQ(loop.scheduler.stats().preemptions, 0u);
  for (SeqId id = 1; id <= 6; ++id)
    EXPECT_EQ(loop.outputs[id], fake_generate(ramp(20, static_cast<TokenId>(id) * 50), 80, kVocab));
}

TEST(SchedulerWindows, AdmissionCountsWindows) {
  auto config = config_of({0, 8}, 40);
  // 120 tokens: 30 blocks in the first group; in the second 8 + 2 steps of 16 - 1 positions: 10 + 1 blocks.
  EXPECT_FALSE(check_fits(config, 100, 20));
  config.num_blocks = 41;
  EXPECT_TRUE(check_fits(config, 100, 20));
  config.windows = {0, 0};
  const auto refused = check_fits(config, 100, 20);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("need 60 KV blocks of 4, the cache has 41"), std::string::npos)
      << refused.error().message;
}

TEST(SchedulerWindows, ALongPromptIsPreemptedAndComesBackRight) {
  FakeLoop loop(config_of({0, 8}, 38));
  ASSERT_TRUE(loop.add(sequence(1, ramp(30), 60)));
  ASSERT_TRUE(loop.add(sequence(2, ramp(60, 200), 30)));
  loop.run_to_end();
  EXPECT_GT(loop.scheduler.stats().preemptions, 0u);
  EXPECT_EQ(loop.outputs[1], fake_generate(ramp(30), 60, kVocab));
  EXPECT_EQ(loop.outputs[2], fake_generate(ramp(60, 200), 30, kVocab));
}

TEST(SchedulerWindows, APrefixIsFoundWhereItsWindowIsStillCached) {
  FakeLoop loop(config_of({0, 8}));
  ASSERT_TRUE(loop.add(sequence(1, ramp(40), 1)));
  loop.run_to_end();
  auto branch = ramp(40);
  branch[30] = 999;  // shares 28 positions
  ASSERT_TRUE(loop.add(sequence(2, branch, 5)));
  loop.step();
  EXPECT_EQ(loop.scheduler.num_cached_tokens(2), 28);
  loop.run_to_end();
  EXPECT_EQ(loop.outputs[2], fake_generate(branch, 5, kVocab));
}

TEST(SchedulerLongContext, ASequenceThatGrowsPastItIsComputedAgain) {
  auto config = config_of({0});
  config.long_context_from = 20;
  FakeLoop loop(config);
  ASSERT_TRUE(loop.add(sequence(1, ramp(14), 30)));
  int64_t computed = 0;
  while (!loop.scheduler.idle()) {
    ASSERT_TRUE(loop.step());
    computed += loop.last_batch_tokens;
  }
  EXPECT_EQ(computed, 14 + 6 + 21 + 22);  // up to 20 tokens, then all 21, then one by one
  EXPECT_EQ(loop.scheduler.stats().preemptions, 0u);
  EXPECT_EQ(loop.outputs[1], fake_generate(ramp(14), 30, kVocab));
}

TEST(SchedulerLongContext, ShortAndLongShareNoBlocks) {
  auto config = config_of({0});
  config.long_context_from = 20;
  FakeLoop loop(config);
  ASSERT_TRUE(loop.add(sequence(1, ramp(17), 1)));
  loop.run_to_end();
  ASSERT_TRUE(loop.add(sequence(2, ramp(30), 3)));
  loop.step();
  EXPECT_EQ(loop.scheduler.num_cached_tokens(2), 0);
  loop.run_to_end();
  ASSERT_TRUE(loop.add(sequence(3, ramp(25), 3)));
  loop.step();
  EXPECT_EQ(loop.scheduler.num_cached_tokens(3), 24);
  loop.run_to_end();
}

}  // namespace
}  // namespace mhub::sched::test
