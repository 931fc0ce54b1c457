// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "random_answer.h"

namespace mhub::constraint::test {
namespace {

constexpr const char* kArithmetic = R"ebnf(
# sums of products
root   ::= term ("+" term)*      # comments are fine
term   ::= factor ( "*" factor )*
factor ::= number
         | "(" root ")"
number ::= [0-9]{1,3}
)ebnf";

// Reads a sum of products the plain way.
struct Reader {
  std::string_view text;
  bool number() {
    size_t digits = 0;
    while (digits < text.size() && digits < 3 && text[digits] >= '0' && text[digits] <= '9') ++digits;
    text.remove_prefix(digits);
    return digits > 0;
  }
  bool factor() {
    if (!text.starts_with('(')) return number();
    text.remove_prefix(1);
    if (!sum() || !text.starts_with(')')) return false;
    text.remove_prefix(1);
    return true;
  }
  bool sum() {
    for (;;) {
      if (!factor()) return false;
      if (!text.starts_with('*') && !text.starts_with('+')) return true;
      text.remove_prefix(1);
    }
  }
};

TEST(Ebnf, WhateverIsDrawnIsRead) {
  std::mt19937 random(3);
  MatcherPool pool(vocabulary());
  const auto constraint = compiled(ebnf(kArithmetic));
  for (int i = 0; i < 60; ++i) {
    const std::string answer = random_answer(constraint, pool, random, 30);
    Reader reader{answer};
    EXPECT_TRUE(reader.sum() && reader.text.empty()) << answer;
  }
}

TEST(Ebnf, RecursionAtTheEndNeedsNoStack) {
  const auto constraint = compiled(ebnf("root ::= \"a\" root | \"b\" tail\ntail ::= \"\" | [xy] tail"));
  EXPECT_TRUE(accepts(*constraint, std::string(5000, 'a') + "b" + std::string(5000, 'x')));
  EXPECT_FALSE(accepts(*constraint, "aab" + std::string(10, 'z')));
}

TEST(Ebnf, BracketsAreCountedUpToTheLimit) {
  const auto constraint = compiled(ebnf("root ::= \"(\" root \")\" | \"\""));
  const auto nested = [](size_t n) { return std::string(n, '(') + std::string(n, ')'); };
  EXPECT_TRUE(accepts(*constraint, nested(150)));
  EXPECT_FALSE(accepts(*constraint, nested(1000))) << "deeper than what is kept";
  EXPECT_FALSE(accepts(*constraint, "(()"));
}

TEST(Ebnf, LiteralsAndClasses) {
  const auto constraint = compiled(
      ebnf("root ::= \"a\\\"\\n\\u00e4\" [\\]\\-x]+ . 'q'? (\"l\" | \"r\"){2} any-name_1.x\nany-name_1.x ::= [^a-z]"));
  EXPECT_TRUE(accepts(*constraint, "a\"\nä]-xzqlr1"));
  EXPECT_TRUE(accepts(*constraint, "a\"\nä]😀rr日"));
  EXPECT_FALSE(accepts(*constraint, "a\"\nä]zrra"));
}

TEST(Ebnf, WhatIsWrongIsNamedWithItsLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "no rule root"},
      {"a ::= \"x\"", "no rule root"},
      {"root ::= b", "the rule b is not defined"},
      {"root ::= \"a\"\nroot ::= \"b\"", "twice in line 2"},
      {"root ::= \"a", "not closed"},
      {"root ::= (\"a\"", "group is not closed"},
      {"root ::= \"a\" )", "starts with its name"},
      {"root = \"a\"", "::= is missing"},
      {"root ::= \"a\"\n\nx ::= [z-a]", "backwards in line 3"},
      {"root ::= a{2", "a quantifier is"},
      {"root ::= (?=\"a\") \"b\"", "look-ahead"},
      {"root ::= root \"a\" | \"b\"", "left recursion"},
      {"root ::= a \"x\"\na ::= b? root | \"y\"\nb ::= \"b\"", "left recursion"},
      {"root ::= \"a\" root", "no text"},
      {"root ::= \"a\" | a\na ::= a", "left recursion"},
  };
  for (const auto& [text, words] : cases) {
    EXPECT_NE(refusal(ebnf(text)).find(words), std::string::npos) << text << ": " << refusal(ebnf(text));
  }
}

TEST(Ebnf, RulesThatNothingMatchesAreLeftOut) {
  const auto constraint = compiled(ebnf("root ::= \"a\" never | \"b\"\nnever ::= \"x\" never"));
  EXPECT_FALSE(accepts(*constraint, "a"));
  EXPECT_TRUE(accepts(*constraint, "b"));
  std::mt19937 random(1);
  MatcherPool pool(vocabulary());
  for (int i = 0; i < 10; ++i) EXPECT_EQ(random_answer(constraint, pool, random, 5), "b");
}

}  // namespace
}  // namespace mhub::constraint::test
