// SPDX-License-Identifier: Apache-2.0
#include "net/retry.h"

#include <gtest/gtest.h>

namespace mhub::hub {
namespace {

HttpHead with(std::vector<std::pair<std::string, std::string>> headers) {
  return {429, std::move(headers), ""};
}

TEST(Backoff, DoublesWithJitterUpToThirtySeconds) {
  Backoff backoff({.retries = 12, .first_delay_seconds = 0.5, .longest_wait_seconds = 300}, 1);
  double ceiling = 0.5;
  for (int i = 0; i < 12; ++i) {
    const auto delay = backoff.next_delay();
    ASSERT_TRUE(delay);
    EXPECT_LE(*delay, ceiling);
    EXPECT_GT(*delay, 0);
    ceiling = std::min(30.0, ceiling * 2);
  }
  EXPECT_FALSE(backoff.next_delay());
  backoff.reset();
  EXPECT_TRUE(backoff.next_delay());
}

TEST(Backoff, HonoursWhatTheServerAsksUpToALimit) {
  Backoff backoff({.retries = 3, .first_delay_seconds = 0.5, .longest_wait_seconds = 300}, 1);
  EXPECT_GE(*backoff.next_delay(7.0), 7.0);
  EXPECT_FALSE(backoff.next_delay(301.0));
}

TEST(RepeatedAnswer, OnlyAnExplained500ThatStaysTheSame) {
  RepeatedAnswer same;
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(same.again(500, "the disk is broken")) << i;
  EXPECT_TRUE(same.again(500, "the disk is broken"));
  RepeatedAnswer changing, silent, busy;
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(changing.again(500, std::to_string(i)));
    EXPECT_FALSE(silent.again(500, ""));
    EXPECT_FALSE(busy.again(503, "later"));
  }
}

TEST(RetryAfter, SecondsDateAndRateLimit) {
  EXPECT_EQ(retry_after_seconds(with({{"retry-after", "12"}})), 12);
  EXPECT_EQ(retry_after_seconds(with({{"retry-after", "-5"}})), 0);
  EXPECT_EQ(retry_after_seconds(with({{"retry-after", "soon"}})), std::nullopt);
  EXPECT_EQ(retry_after_seconds(
                with({{"date", "Wed, 21 Oct 2015 07:28:00 GMT"}, {"retry-after", "Wed, 21 Oct 2015 07:29:30 GMT"}})),
            90);
  EXPECT_EQ(retry_after_seconds(with({{"retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"}})), 0);
  EXPECT_EQ(retry_after_seconds(with({{"ratelimit", "\"api\";r=0;t=55"}})), 56);
  EXPECT_EQ(retry_after_seconds(with({})), std::nullopt);
}

}  // namespace
}  // namespace mhub::hub
