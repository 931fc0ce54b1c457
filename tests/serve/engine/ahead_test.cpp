// SPDX-License-Identifier: Apache-2.0
// An engine whose steps are planned while the one before is in flight.
#include <gtest/gtest.h>

#include <numeric>

#include "fake_engine.h"

namespace mhub::engine::test {
namespace {

struct AheadEngine : FakeEngine {
  explicit AheadEngine(int64_t num_blocks = 256) : FakeEngine(1000, num_blocks, true) {}
};

std::vector<TokenId> ramp(int count, TokenId first = 1) {
  std::vector<TokenId> tokens(static_cast<size_t>(count));
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

TEST(EngineAhead, GivesTheTokensAndEndsByLengthWithoutAnOverrun) {
  AheadEngine fake;
  const auto all = read_all(*fake.submit(request(ramp(5), 7)));
  EXPECT_EQ(all.tokens, fake_generate(ramp(5), 7, kVocab));
  EXPECT_EQ(all.finish, FinishReason::kLength);
  EXPECT_TRUE(fake.becomes_idle());
  EXPECT_EQ(fake.controls->steps, 7);
  EXPECT_EQ(fake.engine->stats().generation_tokens, 7u);
}

TEST(EngineAhead, AStopIsSeenAStepLateAndTheTokenAfterItIsNeverTold) {
  AheadEngine fake;
  const auto expected = fake_generate(ramp(5), 7, kVocab);
  auto made = request(ramp(5), 100);
  made.params.stop_token_ids = {expected[3]};
  const auto all = read_all(*fake.submit(std::move(made)));
  EXPECT_EQ(all.tokens, std::vector<TokenId>(expected.begin(), expected.begin() + 4));
  EXPECT_EQ(all.finish, FinishReason::kStop);
  EXPECT_EQ(all.stop_token, expected[3]);
  EXPECT_TRUE(fake.becomes_idle());
  EXPECT_TRUE(eventually([&] { return fake.engine->stats().steps == 5; }));
  EXPECT_EQ(fake.engine->stats().generation_tokens, 4u);
}

TEST(EngineAhead, RequestsThatNeedTheHostAreNotRunAhead) {
  AheadEngine fake;
  fake.controls->step_ms = 1;
  auto plain = fake.submit(request(ramp(9, 300), 40));
  auto made = request(ramp(5), 6);
  made.params.logprobs = 0;
  const auto all = read_all(*fake.submit(std::move(made)));
  EXPECT_EQ(all.tokens, fake_generate(ramp(5), 6, kVocab));
  ASSERT_EQ(all.logprobs.size(), all.tokens.size());
  for (size_t i = 0; i < all.tokens.size(); ++i) EXPECT_EQ(all.logprobs[i].chosen.token, all.tokens[i]);
  EXPECT_EQ(read_all(*plain).tokens, fake_generate(ramp(9, 300), 40, kVocab));
}

TEST(EngineAhead, LogitsThatAreNotFiniteEndTheRequestAndNoOther) {
  AheadEngine fake;
  fake.controls->bad_prompt_token = 7;
  auto good = fake.submit(request(ramp(6, 300), 30));
  const auto bad = read_all(*fake.submit(request(ramp(6, 7), 30)));
  EXPECT_EQ(bad.finish, FinishReason::kError);
  EXPECT_TRUE(bad.tokens.empty());
  EXPECT_EQ(read_all(*good).tokens, fake_generate(ramp(6, 300), 30, kVocab));
  EXPECT_TRUE(fake.becomes_idle());
}

TEST(EngineAhead, DroppingTheLastStreamLeavesNothingInFlight) {
  AheadEngine fake;
  fake.controls->step_ms = 1;
  auto stream = fake.submit(request(ramp(5), 190));
  ASSERT_TRUE(stream->next(std::chrono::seconds(10)));
  stream.reset();
  EXPECT_TRUE(fake.becomes_idle());
  EXPECT_EQ(read_all(*fake.submit(request(ramp(5), 7))).tokens, fake_generate(ramp(5), 7, kVocab));
}

TEST(EngineAhead, ManyThreadsThroughASmallPoolGetWhatTheyWouldGetAlone) {
  AheadEngine fake(60);
  std::vector<std::thread> clients;
  for (int client = 0; client < 6; ++client) {
    clients.emplace_back([&fake, client] {
      for (int i = 0; i < 20; ++i) {
        const auto prompt = ramp(3 + (client * 7 + i * 5) % 40, client % 3 * 200 + 1);
        const auto expected = fake_generate(prompt, 25, kVocab);
        auto made = request(prompt, 25);
        const bool stopped = i % 3 == 1;
        if (stopped) made.params.stop_token_ids = {expected[static_cast<size_t>(i)]};
        if (i % 7 == 3) made.params.logprobs = 0;
        auto stream = fake.submit(std::move(made));
        if (i % 5 == 4) {
          stream->next(std::chrono::milliseconds(5));
          continue;  // hangs up
        }
        const auto all = read_all(*stream);
        const auto first = std::find(expected.begin(), expected.end(), expected[static_cast<size_t>(i)]);
        EXPECT_EQ(all.tokens, stopped ? std::vector<TokenId>(expected.begin(), first + 1) : expected);
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_TRUE(fake.becomes_idle());
  EXPECT_GT(fake.engine->stats().prefix_hit_tokens, 0u);
}

}  // namespace
}  // namespace mhub::engine::test
