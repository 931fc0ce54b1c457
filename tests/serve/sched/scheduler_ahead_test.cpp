// SPDX-License-Identifier: Apache-2.0
// Planning a step while the one before is in flight.
#include <gtest/gtest.h>

#include "fake_loop.h"

namespace mhub::sched::test {
namespace {

using mhub::test::fake_generate;

SchedulerConfig config_of(int64_t num_blocks) {
  auto config = small_config();
  config.num_blocks = num_blocks;
  return config;
}

struct AheadLoop : FakeLoop {
  explicit AheadLoop(int64_t num_blocks = 64) : FakeLoop(config_of(num_blocks)) { ahead = true; }
};

TEST(SchedulerAhead, ATokenInFlightIsNamedByItsRow) {
  AheadLoop loop;
  ASSERT_TRUE(loop.add(sequence(1, ramp(4), 5)));
  ASSERT_TRUE(loop.add(sequence(2, ramp(6, 50), 5)));
  const auto& first = loop.scheduler.schedule();
  EXPECT_EQ(first.seqs.at(1).pending_row, -1);
  loop.start(first);
  const auto& second = loop.scheduler.schedule();
  ASSERT_EQ(second.seqs.size(), 2u);
  EXPECT_EQ(second.seqs[1].start, 6);
  EXPECT_EQ(second.seqs[1].tokens.size(), 1u);
  EXPECT_EQ(second.seqs[1].tokens[0], kPendingToken);
  EXPECT_EQ(second.seqs[1].output.size(), 1u);  // seeds count it
  EXPECT_EQ(second.seqs[1].pending_row, 1);
  loop.start(second);
  EXPECT_EQ(loop.scheduler.num_in_flight(), 2);
  loop.run_to_end();
  EXPECT_EQ(loop.outputs[2], fake_generate(ramp(6, 50), 5, kVocab));
}

TEST(SchedulerAhead, AnEndByLengthIsKnownAhead) {
  AheadLoop loop;
  ASSERT_TRUE(loop.add(sequence(1, ramp(4), 3)));
  loop.run_to_end();
  EXPECT_EQ(loop.steps, 3);
  EXPECT_EQ(loop.overruns, 0);
  EXPECT_EQ(loop.outputs[1], fake_generate(ramp(4), 3, kVocab));
}

TEST(SchedulerAhead, AStopIsSeenOneStepLateAndTheOverrunIsDropped) {
  AheadLoop loop;
  ASSERT_TRUE(loop.add(sequence(1, ramp(5), 50), 2));
  loop.run_to_end();
  EXPECT_EQ(loop.steps, 4);
  EXPECT_EQ(loop.overruns, 1);
  EXPECT_EQ(loop.finishes[1], Finish::kStop);
  EXPECT_EQ(loop.outputs[1], fake_generate(ramp(5), 3, kVocab));
  EXPECT_EQ(loop.scheduler.stats().blocks_held, 0);
}

// Position 8 of sequence 1 opens its third block in the step that is one too many; sequence 2 gets that block next.
TEST(SchedulerAhead, TheBlockOfAnOverrunGoesToTheNextOne) {
  AheadLoop loop(3);
  ASSERT_TRUE(loop.add(sequence(1, ramp(7), 5), 1));
  ASSERT_TRUE(loop.add(sequence(2, ramp(9, 300), 3)));
  loop.run_to_end();
  EXPECT_EQ(loop.overruns, 1);
  EXPECT_EQ(loop.outputs[1], fake_generate(ramp(7), 2, kVocab));
  EXPECT_EQ(loop.outputs[2], fake_generate(ramp(9, 300), 3, kVocab));
}

TEST(SchedulerAhead, APreemptedSequenceKeepsTheTokenThatWasInFlight) {
  AheadLoop loop(12);
  for (SeqId id = 1; id <= 4; ++id) ASSERT_TRUE(loop.add(sequence(id, ramp(6, static_cast<TokenId>(id) * 100), 30)));
  loop.run_to_end();
  EXPECT_GT(loop.scheduler.stats().preemptions, 0u);
  for (SeqId id = 1; id <= 4; ++id) {
    EXPECT_EQ(loop.outputs[id], fake_generate(ramp(6, static_cast<TokenId>(id) * 100), 30, kVocab)) << id;
  }
}

TEST(SchedulerAhead, BlocksBehindBadLogitsAreNotSharedThoughTheirOwnerWasPreempted) {
  int preempted_at = 0;
  const auto run = [&preempted_at](SeqId bad_later) {
    AheadLoop loop(6);
    EXPECT_TRUE(loop.add(sequence(1, ramp(5, 500), 18)));
    EXPECT_TRUE(loop.add(sequence(2, ramp(11), 12)));
    while (loop.scheduler.stats().preemptions == 0) {
      if (loop.steps + 1 == preempted_at) loop.bad = bad_later;  // the step that is in flight at that time
      EXPECT_TRUE(loop.step());
    }
    preempted_at = loop.steps - 1;
    loop.bad = 0;
    loop.cancel(1);  // else it would take the blocks that 2 has left
    if (bad_later == 0)
      loop.cancel(2);
    else
      EXPECT_EQ(loop.finishes[bad_later], Finish::kError);
    EXPECT_TRUE(loop.add(sequence(3, ramp(11), 1)));
    loop.run_to_end();
    return loop.scheduler.stats().prefix_hit_tokens;
  };
  EXPECT_EQ(run(0), 8u);
  EXPECT_EQ(run(2), 0u);
}

TEST(SchedulerAhead, BlocksAreSharedOnceTheirStepIsDone) {
  AheadLoop loop;
  for (SeqId id = 1; id <= 6; ++id) ASSERT_TRUE(loop.add(sequence(id, ramp(33), 4)));
  int64_t computed = 0;
  while (!loop.idle()) {
    ASSERT_TRUE(loop.step());
    computed += loop.last_batch_tokens;
  }
  EXPECT_EQ(computed, 33 + 5 * 1 + 6 * 3);
}

TEST(SchedulerAhead, ACancelBetweenTheStepsFreesItsBlocks) {
  AheadLoop loop;
  ASSERT_TRUE(loop.add(sequence(1, ramp(4), 50)));
  loop.step();
  loop.step();
  loop.cancel(1);
  EXPECT_EQ(loop.scheduler.stats().blocks_held, 0);
  EXPECT_TRUE(loop.scheduler.idle());
  EXPECT_FALSE(loop.idle());
  loop.run_to_end();
}

}  // namespace
}  // namespace mhub::sched::test
