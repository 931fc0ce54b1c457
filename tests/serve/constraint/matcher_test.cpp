// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>

#include "mhub/constraint/compile_cache.h"
#include "random_answer.h"
#include "token_masks.h"

namespace mhub::constraint::test {
namespace {

bool allows(Matcher& matcher, int32_t token) {
  return (matcher.allowed()[static_cast<size_t>(token) / 32] >> (token % 32) & 1u) != 0;
}
std::vector<int32_t> bytes_of(std::string_view text) {
  std::vector<int32_t> out;
  for (const char c : text) out.push_back(static_cast<unsigned char>(c));
  return out;
}

TEST(Matcher, EndsWhereTheFormEnds) {
  MatcherPool pool(vocabulary());
  Matcher matcher = pool.start(compiled(regex("ab?")));
  matcher.follow({});
  EXPECT_FALSE(matcher.may_end());
  EXPECT_TRUE(allows(matcher, 'a'));
  EXPECT_FALSE(allows(matcher, 'b'));
  EXPECT_FALSE(allows(matcher, end_token()));
  matcher.follow(bytes_of("a"));
  EXPECT_TRUE(matcher.may_end());
  EXPECT_FALSE(matcher.must_end());
  matcher.push('b');
  EXPECT_TRUE(matcher.must_end());
  matcher.follow(bytes_of("ab"));
  EXPECT_TRUE(matcher.must_end());
  Matcher other = pool.start(compiled(regex("ab?")));
  other.follow(bytes_of("ax"));
  EXPECT_FALSE(other.may_end());
  for (const uint32_t word : other.allowed()) EXPECT_EQ(word, 0u);
}

TEST(Matcher, TheFirstTokenMayReadInAnotherWay) {
  TokenTexts texts, first;
  for (const char* text : {" yes", "yes", " ", "!"}) texts.add(text);
  for (const char* text : {"yes", "yes", "", "!"}) first.add(text);
  MatcherPool pool(std::make_shared<const Vocabulary>(texts, first));
  Matcher matcher = pool.start(compiled(regex("yes yes")));
  matcher.follow({});
  EXPECT_TRUE(allows(matcher, 0));
  EXPECT_TRUE(allows(matcher, 1));
  EXPECT_FALSE(allows(matcher, 2));
  matcher.follow(std::vector<int32_t>{0});
  EXPECT_TRUE(allows(matcher, 0));
  EXPECT_FALSE(allows(matcher, 1));
  EXPECT_TRUE(allows(matcher, 2));
  matcher.follow(std::vector<int32_t>{0, 0});
  EXPECT_TRUE(matcher.must_end());
}

TEST(Matcher, StatesAreCarriedOverWhenTheTableIsThrownAway) {
  // Every text has a state of its own: the table fills, and is trimmed between the steps.
  const auto constraint = compiled(regex("(?:a|b)*a(?:a|b){200}"));
  MatcherPool pool(vocabulary());
  std::mt19937 random(2);
  std::vector<int32_t> early_output, output;
  for (int i = 0; i < 300; ++i) early_output.push_back(random() % 2 ? 'a' : 'b');
  early_output[101] = 'a';  // 199 in front of the last one
  Matcher early = pool.start(constraint);
  early.follow(early_output);
  Matcher busy = pool.start(constraint);
  for (int i = 0; i < 30'000; ++i) {
    pool.trim();
    output.push_back(random() % 2 ? 'a' : 'b');
    busy.follow(output);
    if (i > 200) {
      EXPECT_EQ(busy.may_end(), output[output.size() - 201] == 'a');
    }
  }
  early.follow(early_output);
  EXPECT_TRUE(allows(early, 'a'));
  EXPECT_FALSE(allows(early, 'c'));
  early.push('b');
  EXPECT_EQ(early.may_end(), early_output[100] == 'a');
  early.push('b');
  EXPECT_TRUE(early.may_end());
}

TEST(TokenMasks, MasksOfStatesThatAreThrownAwayAreNotCounted) {
  const auto constraint = compiled(regex("(?:a|b)*a(?:a|b){200}"));
  const auto texts = vocabulary();
  TokenMasks masks(constraint->automaton(), *texts);
  std::list<StateId> live = {masks.after(masks.states().start(), "a")};  // each text from here has a state of its own
  std::mt19937 random(3);
  size_t of_states = 0, before = 0;
  while (!masks.states().full()) {
    live.front() = masks.after(live.front(), random() % 2 ? "a" : "b");
    if (of_states++ < 100) masks.mask(live.front());
    before = masks.mask_bytes();
  }
  ASSERT_GT(of_states, 100u);
  masks.trim(live);
  EXPECT_FALSE(masks.states().full());
  const size_t of_one = (texts->size() + 31) / 32 * sizeof(uint32_t);
  EXPECT_EQ(masks.mask_bytes(), before - 100 * of_one) << "those of nodes are kept and counted";
}

TEST(Matcher, MasksOfAmbiguousFormsTakeBoundedTime) {
  MatcherPool pool(vocabulary());
  for (const char* text : {"(?:.*a.{400}|.*b.{400}|.*the.{300})", "(?:a?){300}a{300}", "(?:(?:a*)*b*)*c"}) {
    const auto constraint = compiled(regex(text));
    Matcher matcher = pool.start(constraint);
    std::vector<int32_t> output;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 20; ++i) {
      pool.trim();
      matcher.follow(output);
      EXPECT_TRUE(allows(matcher, 'a'));
      output.push_back('a');
    }
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20)) << text;
  }
}

TEST(CompileCache, KeepsTheLastOnesWithinBounds) {
  CompileCache cache;
  const auto first = cache.compile(regex("ab"));
  ASSERT_TRUE(first);
  EXPECT_EQ(*cache.compile(regex("ab")), *first);
  EXPECT_NE(*cache.compile(regex("a")), *first);
  EXPECT_FALSE(cache.compile(regex("(")));
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(cache.compile(regex("x{" + std::to_string(100'000 + i) + "}")));
  EXPECT_NE(*cache.compile(regex("ab")), *first) << "the large ones have taken its place";
}

TEST(Matcher, ChoicesAreTexts) {
  EXPECT_NE(refusal({Spec::Kind::kChoice, "[]", true, false, ""}).find("choice"), std::string::npos);
  EXPECT_NE(refusal({Spec::Kind::kChoice, "[\"\"]", true, false, ""}).find("choice"), std::string::npos);
  EXPECT_NE(refusal({Spec::Kind::kChoice, "[1]", true, false, ""}).find("choice"), std::string::npos);
  EXPECT_NE(refusal({}).find("kind"), std::string::npos);
  const auto constraint = compiled({Spec::Kind::kChoice, R"(["yes","no","yes, no\n"])", true, false, ""});
  EXPECT_TRUE(accepts(*constraint, "yes") && accepts(*constraint, "no") && accepts(*constraint, "yes, no\n"));
  EXPECT_FALSE(accepts(*constraint, "yes,") || accepts(*constraint, ""));
}

}  // namespace
}  // namespace mhub::constraint::test
