// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "fake_engine.h"

namespace mhub::engine::test {
namespace {

TEST(EngineFaults, AThrowOfTheRunnerEndsEveryStreamAndReadiness) {
  FakeEngine fake;
  fake.controls->step_ms = 1;
  auto first = fake.submit(request({1, 2, 3}, 190)), second = fake.submit(request({4, 5, 6}, 190));
  ASSERT_TRUE(first->next(std::chrono::seconds(10)));
  EXPECT_TRUE(fake.engine->ready());
  fake.controls->throw_next = true;
  for (auto* stream : {first.get(), second.get()}) {
    const auto all = read_all(*stream);
    EXPECT_EQ(all.finish, FinishReason::kError);
    ASSERT_TRUE(all.error);
    EXPECT_NE(all.error->message.find("told to throw"), std::string::npos);
  }
  EXPECT_FALSE(fake.engine->ready());
  EXPECT_EQ(fake.engine->submit(request({1}, 1)).error().code, ErrorCode::kUnavailable);
}

TEST(EngineFaults, LogitsThatAreNotFiniteEndOnlyTheirRequest) {
  FakeEngine fake;
  fake.controls->bad_prompt_token = 666;
  auto bad = fake.submit(request({666, 2, 3}, 9)), good = fake.submit(request({1, 2, 3}, 9));
  const auto all = read_all(*bad);
  EXPECT_EQ(all.finish, FinishReason::kError);
  ASSERT_TRUE(all.error);
  EXPECT_EQ(all.error->code, ErrorCode::kInternal);
  EXPECT_EQ(read_all(*good).tokens, fake_generate({1, 2, 3}, 9, kVocab));
  EXPECT_TRUE(fake.engine->ready());
  EXPECT_TRUE(fake.becomes_idle());
}

TEST(EngineFaults, AHungStepShowsInItsAge) {
  FakeEngine fake;
  fake.controls->hold = true;
  auto stream = fake.submit(request({1, 2, 3}, 2));
  EXPECT_TRUE(eventually([&] { return fake.engine->stats().last_step_age_seconds > 0.05; }));
  fake.controls->hold = false;
  read_all(*stream);
  EXPECT_TRUE(eventually([&] { return fake.engine->stats().last_step_age_seconds == 0; }));
}

TEST(EngineFaults, StreamsOutliveTheEngine) {
  FakeEngine fake;
  fake.controls->step_ms = 1;
  auto read = fake.submit(request({1, 2, 3}, 190)), dropped = fake.submit(request({4, 5, 6}, 190));
  ASSERT_TRUE(read->next(std::chrono::seconds(10)));
  fake.engine.reset();
  const auto all = read_all(*read);
  EXPECT_EQ(all.finish, FinishReason::kError);
  EXPECT_EQ(all.error->code, ErrorCode::kUnavailable);
  dropped.reset();
}

}  // namespace
}  // namespace mhub::engine::test
