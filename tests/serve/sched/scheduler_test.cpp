// SPDX-License-Identifier: Apache-2.0
#include "mhub/sched/scheduler.h"

#include <gtest/gtest.h>

#include "fake_loop.h"

namespace mhub::sched::test {
namespace {

using mhub::test::fake_generate;

TEST(Scheduler, OneSequenceRunsInChunksThenTokenByToken) {
  FakeLoop loop(small_config());
  ASSERT_TRUE(loop.add(sequence(1, ramp(40), 3)));
  std::vector<int64_t> sizes;
  while (!loop.scheduler.idle()) {
    ASSERT_TRUE(loop.step());
    sizes.push_back(loop.last_batch_tokens);
  }
  EXPECT_EQ(sizes, (std::vector<int64_t>{16, 16, 8, 1, 1}));
  EXPECT_EQ(loop.outputs[1], fake_generate(ramp(40), 3, kVocab));
  EXPECT_EQ(loop.finishes[1], Finish::kLength);
  EXPECT_TRUE(loop.scheduler.schedule().empty());
}

TEST(Scheduler, DecodesGoBeforePrompts) {
  FakeLoop loop(small_config());
  ASSERT_TRUE(loop.add(sequence(1, ramp(4), 5)));
  loop.step();
  ASSERT_TRUE(loop.add(sequence(2, ramp(100, 500), 5)));
  loop.step();
  EXPECT_EQ(loop.last_ids, (std::vector<SeqId>{1, 2}));
  EXPECT_EQ(loop.last_batch_tokens, 16);  // 1 + 15
}

TEST(Scheduler, RefusesWhatCanNeverFitWithTheArithmetic) {
  auto config = small_config();
  config.num_blocks = 8;  // 32 positions
  FakeLoop loop(config);
  const auto too_long = loop.add(sequence(1, ramp(128), 1));
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, ErrorCode::kContextTooLong);
  EXPECT_NE(too_long.error().message.find("128"), std::string::npos);
  const auto no_blocks = loop.add(sequence(1, ramp(30), 3));
  ASSERT_FALSE(no_blocks);
  EXPECT_EQ(no_blocks.error().code, ErrorCode::kContextTooLong);
  EXPECT_NE(no_blocks.error().message.find("9 KV blocks"), std::string::npos);
  EXPECT_EQ(loop.add(sequence(1, {}, 3)).error().code, ErrorCode::kInvalidRequest);
  EXPECT_TRUE(loop.scheduler.idle());
  ASSERT_TRUE(loop.add(sequence(1, ramp(30), 2)));
  loop.run_to_end();
  EXPECT_EQ(loop.outputs[1], fake_generate(ramp(30), 2, kVocab));
}

TEST(Scheduler, EndsByLengthAtTheContextLimit) {
  auto config = small_config();
  config.max_model_len = 20;
  FakeLoop loop(config);
  ASSERT_TRUE(loop.add(sequence(1, ramp(15), 1000)));
  ASSERT_TRUE(loop.add(sequence(2, ramp(19, 300), 1000)));
  EXPECT_FALSE(loop.add(sequence(3, ramp(20), 1)));
  ASSERT_TRUE(loop.add(sequence(4, ramp(20, 600), 0)));  // nothing to generate: fits
  loop.run_to_end();
  EXPECT_EQ(loop.outputs[1].size(), 5u);
  EXPECT_EQ(loop.outputs[2].size(), 1u);
  EXPECT_TRUE(loop.outputs[4].empty());
  EXPECT_EQ(loop.finishes[4], Finish::kLength);
}

TEST(Scheduler, AStopFromOutsideKeepsItsToken) {
  FakeLoop loop(small_config());
  ASSERT_TRUE(loop.add(sequence(1, ramp(5), 50), 2));
  loop.run_to_end();
  EXPECT_EQ(loop.finishes[1], Finish::kStop);
  EXPECT_EQ(loop.outputs[1], fake_generate(ramp(5), 3, kVocab));
}

TEST(Scheduler, APrefixIsComputedOnce) {
  FakeLoop loop(small_config());
  ASSERT_TRUE(loop.add(sequence(1, ramp(14), 1)));
  loop.run_to_end();
  ASSERT_TRUE(loop.add(sequence(2, ramp(14), 2)));
  loop.step();
  EXPECT_EQ(loop.scheduler.num_cached_tokens(2), 12);  // three full blocks; the partial one is never shared
  EXPECT_EQ(loop.last_batch_tokens, 2);
  loop.run_to_end();
  EXPECT_EQ(loop.outputs[2], fake_generate(ramp(14), 2, kVocab));
  const auto stats = loop.scheduler.stats();
  EXPECT_EQ(stats.prefix_queries_tokens, 28u);
  EXPECT_EQ(stats.prefix_hit_tokens, 12u);
}

TEST(Scheduler, AFullHitStillComputesTheLastBlock) {
  FakeLoop loop(small_config());
  ASSERT_TRUE(loop.add(sequence(1, ramp(16), 1)));
  loop.run_to_end();
  ASSERT_TRUE(loop.add(sequence(2, ramp(16), 1)));
  loop.run_to_end();
  EXPECT_EQ(loop.outputs[2], loop.outputs[1]);
  EXPECT_EQ(loop.scheduler.stats().prefix_hit_tokens, 12u);
}

TEST(Scheduler, GeneratedTokensAreFoundByTheNextTurn) {
  FakeLoop loop(small_config());
  ASSERT_TRUE(loop.add(sequence(1, ramp(6), 7)));
  loop.run_to_end();
  auto conversation = ramp(6);
  conversation.insert(conversation.end(), loop.outputs[1].begin(), loop.outputs[1].end());
  conversation.push_back(77);
  ASSERT_TRUE(loop.add(sequence(2, conversation, 1)));
  loop.run_to_end();
  EXPECT_EQ(loop.scheduler.stats().prefix_hit_tokens, 12u);
  EXPECT_EQ(loop.outputs[2], fake_generate(conversation, 1, kVocab));
}

TEST(Scheduler, RequestsForOnePromptShareItThoughTheyArriveTogether) {
  FakeLoop loop(small_config());
  for (SeqId id = 1; id <= 6; ++id) ASSERT_TRUE(loop.add(sequence(id, ramp(33), 4)));
  loop.step();
  EXPECT_EQ(loop.last_ids, std::vector<SeqId>{1});
  int64_t computed = loop.last_batch_tokens;
  while (!loop.scheduler.idle()) {
    loop.step();
    computed += loop.last_batch_tokens;
  }
  EXPECT_EQ(computed, 33 + 5 * 1 + 6 * 3);
  for (SeqId id = 1; id <= 6; ++id) EXPECT_EQ(loop.outputs[id], fake_generate(ramp(33), 4, kVocab));
}

TEST(Scheduler, ShortSharedBeginningsDoNotHoldAnyoneBack) {
  FakeLoop loop(small_config());
  auto other = ramp(4);
  for (TokenId token : ramp(8, 900)) other.push_back(token);
  ASSERT_TRUE(loop.add(sequence(1, ramp(4), 4)));
  ASSERT_TRUE(loop.add(sequence(2, other, 4)));
  loop.step();
  EXPECT_EQ(loop.last_ids, (std::vector<SeqId>{1, 2}));
  loop.run_to_end();
  EXPECT_EQ(loop.outputs[2], fake_generate(other, 4, kVocab));
}

TEST(Scheduler, ScopesShareNothing) {
  FakeLoop loop(small_config());
  for (SeqId id = 1; id <= 4; ++id) {
    auto made = sequence(id, ramp(30), 3);
    made.cache_scope = id % 2 == 0 ? "even" : "odd";
    ASSERT_TRUE(loop.add(std::move(made), -1, id % 2 == 0 ? 4096 : 0));
    loop.run_to_end();
  }
  for (SeqId id = 1; id <= 4; ++id) EXPECT_EQ(loop.outputs[id], fake_generate(ramp(30), 3, kVocab));
  EXPECT_EQ(loop.scheduler.stats().prefix_hit_tokens, 2u * 28u);
}

TEST(Scheduler, PromptLogprobsComputeEveryPosition) {
  FakeLoop loop(small_config());
  ASSERT_TRUE(loop.add(sequence(1, ramp(16), 1)));
  loop.run_to_end();
  auto made = sequence(2, ramp(16), 1);
  made.read_prefix_cache = false;
  ASSERT_TRUE(loop.add(std::move(made)));
  loop.step();
  EXPECT_EQ(loop.last_batch_tokens, 16);
  EXPECT_EQ(loop.outputs[2], loop.outputs[1]);
}

TEST(Scheduler, WithoutPrefixCachingNothingIsKept) {
  auto config = small_config();
  config.enable_prefix_caching = false;
  FakeLoop loop(config);
  for (SeqId id = 1; id <= 2; ++id) {
    ASSERT_TRUE(loop.add(sequence(id, ramp(16), 1)));
    loop.run_to_end();
    EXPECT_EQ(loop.scheduler.stats().blocks_cached, 0);
  }
  EXPECT_EQ(loop.scheduler.stats().prefix_hit_tokens, 0u);
}

TEST(Scheduler, ResetForgetsWhatNobodyHolds) {
  FakeLoop loop(small_config());
  ASSERT_TRUE(loop.add(sequence(1, ramp(16), 1)));
  loop.run_to_end();
  EXPECT_EQ(loop.scheduler.stats().blocks_cached, 4);
  loop.scheduler.reset_prefix_cache();
  loop.scheduler.check_invariants();
  EXPECT_EQ(loop.scheduler.stats().blocks_cached, 0);
}

TEST(Scheduler, PriorityGoesBeforeArrival) {
  auto config = small_config();
  config.policy = Policy::kPriority;
  config.max_num_seqs = 1;
  FakeLoop loop(config);
  for (SeqId id = 1; id <= 3; ++id) {
    auto made = sequence(id, ramp(4, static_cast<TokenId>(id) * 50), 1);
    made.priority = static_cast<int>(3 - id);
    ASSERT_TRUE(loop.add(std::move(made)));
  }
  std::vector<SeqId> order;
  while (!loop.scheduler.idle()) {
    loop.step();
    order.insert(order.end(), loop.last_ids.begin(), loop.last_ids.end());
  }
  EXPECT_EQ(order, (std::vector<SeqId>{3, 2, 1}));
}

TEST(Scheduler, CancelDuringAStepSkipsItsResult) {
  FakeLoop loop(small_config());
  ASSERT_TRUE(loop.add(sequence(1, ramp(4), 5)));
  ASSERT_TRUE(loop.add(sequence(2, ramp(4, 50), 1)));
  loop.start(loop.scheduler.schedule());
  loop.cancel(1);
  loop.settle();
  EXPECT_EQ(loop.finishes.count(1), 0u);
  EXPECT_EQ(loop.outputs[2], fake_generate(ramp(4, 50), 1, kVocab));
  EXPECT_TRUE(loop.scheduler.idle());
  EXPECT_EQ(loop.scheduler.stats().blocks_held, 0);
}

TEST(Scheduler, BlocksBehindBadLogitsAreNotShared) {
  FakeLoop loop(small_config());
  ASSERT_TRUE(loop.add(sequence(1, ramp(16), 5)));
  loop.step();
  const auto batch = loop.scheduler.schedule();
  ASSERT_EQ(batch.seqs.size(), 1u);
  loop.apply({{1, std::nullopt, Finish::kError}});
  EXPECT_EQ(loop.finishes[1], Finish::kError);
  EXPECT_EQ(loop.scheduler.stats().blocks_cached, 0);
  ASSERT_TRUE(loop.add(sequence(2, ramp(16), 1)));
  loop.run_to_end();
  EXPECT_EQ(loop.scheduler.stats().prefix_hit_tokens, 0u);
}

}  // namespace
}  // namespace mhub::sched::test
