// SPDX-License-Identifier: Apache-2.0
#include "mhub/engine/engine.h"

#include <gtest/gtest.h>

#include <numeric>

#include "fake_engine.h"

namespace mhub::engine::test {
namespace {

std::vector<TokenId> ramp(int count, TokenId first = 1) {
  std::vector<TokenId> tokens(static_cast<size_t>(count));
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

TEST(Engine, GivesTheTokensAndEndsByLength) {
  FakeEngine fake;
  const auto all = read_all(*fake.submit(request(ramp(5), 7)));
  EXPECT_EQ(all.tokens, fake_generate(ramp(5), 7, kVocab));
  EXPECT_EQ(all.finish, FinishReason::kLength);
  EXPECT_FALSE(all.stop_token);
  EXPECT_TRUE(fake.becomes_idle());
  EXPECT_TRUE(eventually([&] { return fake.engine->stats().last_step_age_seconds == 0; }));
  const auto stats = fake.engine->stats();
  EXPECT_EQ(stats.prompt_tokens, 5u);
  EXPECT_EQ(stats.generation_tokens, 7u);
  EXPECT_EQ(stats.steps, 7u);
  EXPECT_EQ(stats.num_blocks, 256);
}

TEST(Engine, AStopIdEndsItAndIsTold) {
  FakeEngine fake;
  const auto expected = fake_generate(ramp(5), 7, kVocab);
  auto made = request(ramp(5), 7);
  made.params.stop_token_ids = {expected[3]};
  const auto all = read_all(*fake.submit(std::move(made)));
  EXPECT_EQ(all.tokens, std::vector<TokenId>(expected.begin(), expected.begin() + 4));
  EXPECT_EQ(all.finish, FinishReason::kStop);
  EXPECT_EQ(all.stop_token, expected[3]);
}

TEST(Engine, NoStopBeforeMinTokens) {
  FakeEngine fake;
  const auto expected = fake_generate(ramp(5), 7, kVocab);
  for (const auto& [min_tokens, count] : {std::pair(4, 4u), std::pair(5, 7u)}) {
    auto made = request(ramp(5), 7);
    made.params.stop_token_ids = {expected[3]};
    made.params.min_tokens = min_tokens;
    EXPECT_EQ(read_all(*fake.submit(std::move(made))).tokens.size(), count) << min_tokens;
  }
}

TEST(Engine, PromptOnlyGivesLogprobsOfEveryPositionAfterTheFirst) {
  FakeEngine fake;
  for (int round = 0; round < 2; ++round) {  // the second time the prefix is cached, and must not be used
    auto made = request(ramp(150), 0);       // three chunks
    made.params.prompt_logprobs = 0;
    const auto all = read_all(*fake.submit(std::move(made)));
    EXPECT_TRUE(all.tokens.empty());
    EXPECT_EQ(all.finish, FinishReason::kLength);
    ASSERT_EQ(all.prompt_logprobs.size(), 149u);
    for (size_t i = 0; i < 149; ++i) EXPECT_EQ(all.prompt_logprobs[i].chosen.token, static_cast<TokenId>(i + 2));
  }
}

TEST(Engine, LogprobsAreParallelToTokens) {
  FakeEngine fake;
  auto made = request(ramp(5), 6);
  made.params.logprobs = 0;
  const auto all = read_all(*fake.submit(std::move(made)));
  ASSERT_EQ(all.logprobs.size(), all.tokens.size());
  for (size_t i = 0; i < all.tokens.size(); ++i) EXPECT_EQ(all.logprobs[i].chosen.token, all.tokens[i]);
}

TEST(Engine, TellsHowMuchOfThePromptWasCached) {
  FakeEngine fake;
  EXPECT_EQ(read_all(*fake.submit(request(ramp(21), 1))).cached_tokens, 0);
  EXPECT_EQ(read_all(*fake.submit(request(ramp(21), 3))).cached_tokens, 20);
  auto scoped = request(ramp(21), 1);
  scoped.cache_scope = "someone else";
  EXPECT_EQ(read_all(*fake.submit(std::move(scoped))).cached_tokens, 0);
}

TEST(Engine, DroppingTheStreamFreesItsBlocks) {
  FakeEngine fake;
  fake.controls->step_ms = 1;
  auto stream = fake.submit(request(ramp(5), 190));
  ASSERT_TRUE(stream->next(std::chrono::seconds(10)));
  EXPECT_GT(fake.engine->stats().blocks_held, 0);
  stream.reset();
  const int dropped = fake.controls->steps;
  EXPECT_TRUE(fake.becomes_idle());
  EXPECT_LE(fake.controls->steps, dropped + 2) << "the step that ran, and one that was prepared";
}

TEST(Engine, AReaderThatDoesNotReadStopsNobody) {
  FakeEngine fake;
  auto unread = fake.submit(request(ramp(5), 100));
  EXPECT_EQ(read_all(*fake.submit(request(ramp(9, 300), 150))).tokens.size(), 150u);
  const auto delta = unread->next(std::chrono::seconds(10));
  ASSERT_TRUE(delta);
  EXPECT_EQ(delta->tokens, fake_generate(ramp(5), 100, kVocab));
}

TEST(Engine, ManyThreadsThroughASmallPoolGetWhatTheyWouldGetAlone) {
  FakeEngine fake(1000, 60);
  std::vector<std::thread> clients;
  for (int client = 0; client < 6; ++client) {
    clients.emplace_back([&fake, client] {
      for (int i = 0; i < 20; ++i) {
        const auto prompt = ramp(3 + (client * 7 + i * 5) % 40, client % 3 * 200 + 1);
        auto stream = fake.submit(request(prompt, 25));
        if (i % 5 == 4) {
          stream->next(std::chrono::milliseconds(5));
          continue;  // hangs up
        }
        EXPECT_EQ(read_all(*stream).tokens, fake_generate(prompt, 25, kVocab));
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_TRUE(fake.becomes_idle());
  EXPECT_GT(fake.engine->stats().prefix_hit_tokens, 0u);
}

TEST(Engine, IdleTimesArePreparedIn) {
  FakeEngine fake(1000, 256, false, 5);
  EXPECT_EQ(read_all(*fake.submit(request(ramp(5), 7))).tokens, fake_generate(ramp(5), 7, kVocab));
  EXPECT_TRUE(eventually([&] { return fake.controls->unprepared == 0; }));
  EXPECT_EQ(read_all(*fake.submit(request(ramp(5), 7))).tokens, fake_generate(ramp(5), 7, kVocab));
}

TEST(Engine, RefusesWhatCanNeverRun) {
  FakeEngine fake;
  const auto code = [&](GenerationRequest made) { return fake.engine->submit(std::move(made)).error().code; };
  EXPECT_EQ(code(request({}, 1)), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code(request({1, kVocab}, 1)), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code(request({1, -1}, 1)), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code(request({1}, -1)), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code(request(ramp(200), 1)), ErrorCode::kContextTooLong);
  auto biased = request({1}, 1);
  biased.params.logit_bias = {{kVocab, 1.0f}};
  EXPECT_EQ(code(std::move(biased)), ErrorCode::kInvalidRequest);
  EXPECT_EQ(read_all(*fake.submit(request(ramp(200), 0))).finish, FinishReason::kLength);
}

TEST(Engine, RefusesWhenTheQueueIsFull) {
  FakeEngine fake(3);
  fake.controls->hold = true;
  std::vector<std::unique_ptr<TokenStream>> open;
  open.push_back(fake.submit(request(ramp(3), 2)));
  ASSERT_TRUE(eventually([&] { return fake.engine->stats().running == 1; }));
  for (TokenId i = 0; i < 3; ++i) open.push_back(fake.submit(request(ramp(3, 100 * i + 1), 2)));
  const auto refused = fake.engine->submit(request(ramp(3), 2));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
  fake.controls->hold = false;
  for (auto& stream : open) EXPECT_EQ(read_all(*stream).tokens.size(), 2u);
}

}  // namespace
}  // namespace mhub::engine::test
