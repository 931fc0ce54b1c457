// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "random_answer.h"

namespace mhub::constraint::test {
namespace {

TEST(NumberRange, IntegersExactly) {
  const std::pair<int, int> ranges[] = {{0, 0},    {0, 9},        {5, 17},   {-3, 4}, {-120, -7},
                                        {99, 101}, {-1000, 1000}, {7, 1234}, {-10, 0}};
  for (const auto& [low, high] : ranges) {
    const auto constraint =
        compiled(schema(fmt::format(R"({{"type":"integer","minimum":{},"maximum":{}}})", low, high)));
    for (int i = -1300; i <= 1300; ++i) {
      EXPECT_EQ(accepts(*constraint, std::to_string(i)), low <= i && i <= high) << low << ".." << high << ": " << i;
    }
    for (const char* bad : {"01", "-0", "+1", "1.0", "", "-"}) EXPECT_FALSE(accepts(*constraint, bad)) << bad;
  }
}

TEST(NumberRange, OneSidedAndExclusive) {
  const auto above = compiled(schema(R"({"type":"integer","exclusiveMinimum":41.5})"));
  EXPECT_TRUE(accepts(*above, "42") && accepts(*above, "9999999999"));
  EXPECT_FALSE(accepts(*above, "41") || accepts(*above, "-50"));
  const auto below = compiled(schema(R"({"type":"integer","exclusiveMaximum":-5})"));
  EXPECT_TRUE(accepts(*below, "-6") && accepts(*below, "-123456"));
  EXPECT_FALSE(accepts(*below, "-5") || accepts(*below, "7"));
}

TEST(NumberRange, DecimalsOnAGrid) {
  struct Range {
    const char* schema;
    double low, high;
    bool low_exclusive, high_exclusive;
  };
  const Range ranges[] = {{R"({"type":"number","minimum":0,"maximum":1})", 0, 1, false, false},
                          {R"({"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1})", 0, 1, true, true},
                          {R"({"type":"number","minimum":0.25,"maximum":0.75})", 0.25, 0.75, false, false},
                          {R"({"type":"number","exclusiveMinimum":-1.5,"maximum":2.25})", -1.5, 2.25, true, false},
                          {R"({"type":"number","minimum":-3.75,"exclusiveMaximum":-1.2})", -3.75, -1.2, false, true},
                          {R"({"type":"number","minimum":3})", 3, 1e9, false, false},
                          {R"({"type":"number","maximum":-0.5})", -1e9, -0.5, false, false},
                          {R"({"type":"number","minimum":1.5,"maximum":1.5})", 1.5, 1.5, false, false}};
  for (const Range& range : ranges) {
    const auto constraint = compiled(schema(range.schema));
    for (int i = -450; i <= 450; ++i) {
      for (const auto& text :
           {fmt::format("{:.2f}", i / 100.0), fmt::format("{}", i / 100.0), fmt::format("{:.3f}", i / 100.0)}) {
        if (text.starts_with("-0") && std::stod(text) == 0) continue;  // a zero has no sign here
        const double value = std::stod(text);
        const bool inside = (range.low_exclusive ? value > range.low : value >= range.low) &&
                            (range.high_exclusive ? value < range.high : value <= range.high);
        EXPECT_EQ(accepts(*constraint, text), inside) << range.schema << ": " << text;
      }
    }
  }
}

TEST(NumberRange, DrawnNumbersAreInside) {
  std::mt19937 random(5);
  MatcherPool pool(vocabulary());
  const auto constraint = compiled(schema(R"({"type":"number","exclusiveMinimum":-12.5,"exclusiveMaximum":1000.125})"));
  for (int i = 0; i < 300; ++i) {
    const double value = std::stod(random_answer(constraint, pool, random, 30));
    EXPECT_TRUE(value > -12.5 && value < 1000.125) << value;
  }
}

TEST(NumberRange, EmptyRangesAreRefused) {
  for (const char* text :
       {R"({"type":"integer","minimum":2,"maximum":1})", R"({"type":"integer","minimum":0.2,"maximum":0.8})",
        R"({"type":"number","exclusiveMinimum":1,"maximum":1})"}) {
    EXPECT_NE(refusal(schema(text)).find("between the bounds"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace mhub::constraint::test
