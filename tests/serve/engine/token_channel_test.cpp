// SPDX-License-Identifier: Apache-2.0
#include "token_channel.h"

#include <gtest/gtest.h>

#include <thread>

#include "stream_registry.h"

namespace mhub::engine {
namespace {

using std::chrono::milliseconds;

TokenDelta token(TokenId id, std::optional<FinishReason> finish = std::nullopt) {
  TokenDelta delta;
  delta.tokens = {id};
  delta.logprobs = {{{id, 0, 1}, {}}};
  delta.finish = finish;
  return delta;
}

TEST(TokenChannel, ASlowReaderGetsOneDeltaWithEverything) {
  TokenChannel channel;
  auto first = token(1);
  first.cached_tokens = 16;
  first.prompt_logprobs = {{{9, 0, 1}, {}}};
  channel.push(std::move(first));
  channel.push(token(2));
  auto last = token(3, FinishReason::kStop);
  last.stop_token = 3;
  channel.push(std::move(last));
  const auto delta = channel.pop(milliseconds(0));
  ASSERT_TRUE(delta);
  EXPECT_EQ(delta->tokens, (std::vector<TokenId>{1, 2, 3}));
  EXPECT_EQ(delta->logprobs.size(), 3u);
  EXPECT_EQ(delta->prompt_logprobs.size(), 1u);
  EXPECT_EQ(delta->cached_tokens, 16);
  EXPECT_EQ(delta->finish, FinishReason::kStop);
  EXPECT_EQ(delta->stop_token, 3);
  EXPECT_FALSE(channel.pop(milliseconds(0)));
}

TEST(TokenChannel, NothingFollowsTheEnd) {
  TokenChannel channel;
  channel.push(token(1, FinishReason::kLength));
  channel.push(token(2));
  EXPECT_EQ(channel.pop(milliseconds(0))->tokens, std::vector<TokenId>{1});
  EXPECT_FALSE(channel.pop(std::chrono::hours(1)));  // returns at once
}

TEST(TokenChannel, WaitsForTheWriter) {
  TokenChannel channel;
  EXPECT_FALSE(channel.pop(milliseconds(1)));
  std::thread writer([&] { channel.push(token(5)); });
  EXPECT_EQ(channel.pop(std::chrono::seconds(30))->tokens, std::vector<TokenId>{5});
  writer.join();
}

TEST(StreamRegistry, DroppingAStreamBeforeItsEndTellsWhoOpenedIt) {
  StreamRegistry streams;
  std::vector<RequestId> dropped;
  const auto note = [&](RequestId id) { dropped.push_back(id); };
  auto open = streams.open(1, note);
  auto ended = streams.open(2, note);
  streams.deliver(2, token(1, FinishReason::kStop));
  EXPECT_EQ(streams.size(), 1u);
  open.reset();
  ended.reset();
  EXPECT_EQ(dropped, std::vector<RequestId>{1});
}

TEST(StreamRegistry, FailAllEndsEveryOpenStream) {
  StreamRegistry streams;
  auto a = streams.open(1, [](RequestId) {}), b = streams.open(2, [](RequestId) {});
  streams.deliver(1, token(7));
  streams.fail_all({ErrorCode::kInternal, "gone", "", ""});
  auto delta = a->next(milliseconds(0));
  ASSERT_TRUE(delta && delta->error);
  EXPECT_EQ(delta->tokens, std::vector<TokenId>{7});  // what had come before stays
  EXPECT_EQ(delta->finish, FinishReason::kError);
  EXPECT_EQ(b->next(milliseconds(0))->error->message, "gone");
  EXPECT_EQ(streams.size(), 0u);
  streams.deliver(1, token(8));
  EXPECT_FALSE(a->next(milliseconds(0)));
}

}  // namespace
}  // namespace mhub::engine
