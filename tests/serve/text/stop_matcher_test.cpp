// SPDX-License-Identifier: Apache-2.0
#include "mhub/text/stop_matcher.h"

#include <gtest/gtest.h>

namespace mhub::text {
namespace {

TEST(StopMatcher, FindsAStopAcrossPieces) {
  StopMatcher matcher({"STOP"}, false);
  EXPECT_EQ(matcher.push("ab ST").text, "ab ");
  const auto out = matcher.push("OP tail");
  EXPECT_EQ(out.text, "");
  EXPECT_EQ(out.matched, "STOP");
}

TEST(StopMatcher, ReleasesWhatTurnsOutHarmless) {
  StopMatcher matcher({"abac"}, false);
  EXPECT_EQ(matcher.push("aba").text, "");
  EXPECT_EQ(matcher.push("bac").text, "ab") << "the second half begins the stop string again";
  EXPECT_FALSE(matcher.push("").matched.has_value());
}

TEST(StopMatcher, FlushGivesTheHeldTail) {
  StopMatcher matcher({"\n\n"}, false);
  EXPECT_EQ(matcher.push("end\n").text, "end");
  EXPECT_EQ(matcher.flush(), "\n");
  EXPECT_EQ(matcher.flush(), "");
}

TEST(StopMatcher, TheFirstInListOrderWins) {
  StopMatcher matcher({"later", "early"}, false);
  const auto out = matcher.push("x early y later");
  EXPECT_EQ(out.matched, "later");
  EXPECT_EQ(out.text, "x early y ");
}

TEST(StopMatcher, MayIncludeTheStop) {
  StopMatcher matcher({"."}, true);
  const auto out = matcher.push("a.b");
  EXPECT_EQ(out.text, "a.");
  EXPECT_EQ(out.matched, ".");
}

TEST(StopMatcher, CutsNoCharacter) {
  StopMatcher matcher({"é!"}, false);
  EXPECT_EQ(matcher.push("caf").text, "caf");
  EXPECT_EQ(matcher.push("é").text, "");
  EXPECT_EQ(matcher.push("e").text, "ée");
}

TEST(StopMatcher, WithoutStopsEverythingPasses) {
  StopMatcher matcher({"", ""}, false);
  const auto out = matcher.push("abc");
  EXPECT_EQ(out.text, "abc");
  EXPECT_FALSE(out.matched.has_value());
}

}  // namespace
}  // namespace mhub::text
