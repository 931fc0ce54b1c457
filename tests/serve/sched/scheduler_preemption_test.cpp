// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "fake_loop.h"

namespace mhub::sched::test {
namespace {

using mhub::test::fake_generate;

SchedulerConfig tight_config(int64_t blocks) {
  auto config = small_config();
  config.num_blocks = blocks;
  config.max_num_batched_tokens = 64;
  return config;
}

TEST(Preemption, AnswersAreThoseOfASequenceAlone) {
  FakeLoop loop(tight_config(12));  // 48 positions for 4 x 36
  for (SeqId id = 1; id <= 4; ++id) ASSERT_TRUE(loop.add(sequence(id, ramp(6, static_cast<TokenId>(id) * 100), 30)));
  loop.run_to_end();
  EXPECT_GT(loop.scheduler.stats().preemptions, 0u);
  for (SeqId id = 1; id <= 4; ++id) {
    EXPECT_EQ(loop.outputs[id], fake_generate(ramp(6, static_cast<TokenId>(id) * 100), 30, kVocab)) << id;
  }
}

TEST(Preemption, TakesTheOneThatLosesLeastOfThoseBehind) {
  FakeLoop loop(tight_config(9));
  ASSERT_TRUE(loop.add(sequence(1, ramp(8), 20)));
  ASSERT_TRUE(loop.add(sequence(2, ramp(3, 200), 20)));   // behind 1, little computed
  ASSERT_TRUE(loop.add(sequence(3, ramp(12, 300), 20)));  // last, but more to lose
  loop.step();
  ASSERT_EQ(loop.last_ids.size(), 3u);
  while (loop.scheduler.stats().preemptions == 0) ASSERT_TRUE(loop.step());
  EXPECT_EQ(loop.last_ids, (std::vector<SeqId>{1, 3}));
  loop.run_to_end();
  EXPECT_EQ(loop.outputs[2], fake_generate(ramp(3, 200), 20, kVocab));
}

TEST(Preemption, APreemptedSequenceComesBackWithItsCachedPrefix) {
  FakeLoop loop(tight_config(12));
  ASSERT_TRUE(loop.add(sequence(1, ramp(4), 6)));
  ASSERT_TRUE(loop.add(sequence(2, ramp(33, 200), 12)));
  int64_t computed = 0;
  while (!loop.scheduler.idle()) {
    ASSERT_TRUE(loop.step());
    computed += loop.last_batch_tokens;
  }
  ASSERT_EQ(loop.scheduler.stats().preemptions, 1u);
  const int64_t without_preemption = 4 + 5 + 33 + 11;
  EXPECT_LT(computed - without_preemption, 16);  // of some 35 tokens that had been computed
  EXPECT_EQ(loop.outputs[2], fake_generate(ramp(33, 200), 12, kVocab));
  EXPECT_EQ(loop.scheduler.stats().prefix_hit_tokens, 0u);  // a return is not a hit of the cache's users
}

TEST(Preemption, SequencesThatShareEverythingGiveWayTogether) {
  // 2 and 3 hold the same blocks: neither frees one alone, both do.
  auto config = tight_config(8);
  FakeLoop loop(config);
  ASSERT_TRUE(loop.add(sequence(9, ramp(17, 200), 1)));
  loop.run_to_end();
  ASSERT_TRUE(loop.add(sequence(1, ramp(4), 28)));
  ASSERT_TRUE(loop.add(sequence(2, ramp(17, 200), 4)));
  ASSERT_TRUE(loop.add(sequence(3, ramp(17, 200), 4)));
  loop.run_to_end();
  EXPECT_EQ(loop.outputs[1], fake_generate(ramp(4), 28, kVocab));
  for (SeqId id : {2u, 3u}) EXPECT_EQ(loop.outputs[id], fake_generate(ramp(17, 200), 4, kVocab));
}

// A pool of a quarter of the need, all requests at once: what is computed more than once stays below a quarter.
TEST(Preemption, DoesNotThrash) {
  auto config = tight_config(64);
  config.max_num_seqs = 64;
  FakeLoop loop(config);
  int64_t useful = 0;
  for (SeqId id = 1; id <= 64; ++id) {
    const int64_t prompt = 1 + static_cast<int64_t>(id * 7 % 30), generated = 1 + static_cast<int64_t>(id * 13 % 40);
    useful += prompt + generated - 1;
    ASSERT_TRUE(loop.add(sequence(id, ramp(prompt, static_cast<TokenId>(id) * 64), generated)));
  }
  int64_t computed = 0;
  while (!loop.scheduler.idle()) {
    ASSERT_TRUE(loop.step());
    computed += loop.last_batch_tokens;
  }
  EXPECT_LT(static_cast<double>(computed), 1.25 * static_cast<double>(useful))
      << loop.scheduler.stats().preemptions << " preemptions";
}

TEST(Preemption, TheFirstIsNeverPreempted) {
  FakeLoop loop(tight_config(10));
  ASSERT_TRUE(loop.add(sequence(1, ramp(5), 35)));
  for (SeqId id = 2; id <= 6; ++id) ASSERT_TRUE(loop.add(sequence(id, ramp(5, static_cast<TokenId>(id) * 100), 35)));
  for (int step = 0; step < 35; ++step) {
    ASSERT_TRUE(loop.step());
    ASSERT_EQ(loop.last_ids.front(), 1u) << step;
  }
  EXPECT_EQ(loop.finishes.count(1), 1u);
  loop.run_to_end();
}

}  // namespace
}  // namespace mhub::sched::test
