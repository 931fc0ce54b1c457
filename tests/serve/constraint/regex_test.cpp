// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <regex>

#include "random_answer.h"

namespace mhub::constraint::test {
namespace {

TEST(Regex, AcceptsWhatItSpells) {
  const struct {
    const char* regex;
    std::vector<const char*> yes, no;
  } cases[] = {
      {"", {""}, {"a"}},
      {"abc", {"abc"}, {"ab", "abcd", ""}},
      {"a|bc|", {"a", "bc", ""}, {"abc", "b"}},
      {"(?:ab)*c+d?", {"c", "ababccd"}, {"abd", "aabc"}},
      {"a{2}b{1,3}c{2,}", {"aabcc", "aabbbcccc"}, {"abcc", "aabbbbcc", "aabc"}},
      {"x{,2}", {"", "xx"}, {"xxx"}},
      {"[a-cx-]+", {"abc-x"}, {"d", ""}},
      {"[^a-c\\n]", {"d", "ä", "😀", "]"}, {"a", "\n", ""}},
      {"[]a]+", {"]a]"}, {"b"}},
      {"\\d\\w\\s\\D\\W\\S", {"1_\t  !"}, {"a_ a!a"}},
      {".", {"a", "日"}, {"\n", ""}},
      {"\\x41\\u00e4\\u{1F600}\\n\\.", {"Aä😀\n."}, {"Aä😀\nx"}},
      {"^(a|b)$", {"a", "b"}, {"ab"}},
      {"(?P<year>\\d{4})-(?<m>\\d\\d)", {"2024-05"}, {"24-05"}},
      {"a+?b*?", {"aab", "a"}, {"b"}},
      {"\\{\"k\":\\[1\\]\\}", {"{\"k\":[1]}"}, {"{}"}},
  };
  for (const auto& c : cases) {
    const auto constraint = compiled(regex(c.regex));
    for (const char* text : c.yes) EXPECT_TRUE(accepts(*constraint, text)) << c.regex << " | " << text;
    for (const char* text : c.no) EXPECT_FALSE(accepts(*constraint, text)) << c.regex << " | " << text;
  }
}

TEST(Regex, IllFormedUtf8IsNoCharacter) {
  const auto any = compiled(regex("(?:.|\n)*"));
  for (const char* bad : {"\xff", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3", "\x80"}) {
    EXPECT_FALSE(accepts(*any, bad));
  }
  EXPECT_TRUE(accepts(*any, "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"));
}

TEST(Regex, WhatIsNotRegularOrNotSupportedIsNamed) {
  const std::pair<const char*, const char*> cases[] = {{"a(?=b)", "look-around"},
                                                       {"(?<!a)b", "look-around"},
                                                       {"(a)\\1", "back-references"},
                                                       {"\\bword", "word boundaries"},
                                                       {"\\p{L}", "properties"},
                                                       {"(?i)a", "kind of group"},
                                                       {"a++", "possessive"},
                                                       {"a**", "quantifier follows a quantifier"},
                                                       {"*a", "follows nothing"},
                                                       {"(a", "not closed"},
                                                       {"a)", "closes nothing"},
                                                       {"[a", "not closed"},
                                                       {"[z-a]", "backwards"},
                                                       {"a{3,2}", "backwards"},
                                                       {"a{x}", "quantifier"},
                                                       {"a^b", "anchor"},
                                                       {"(^a)b", "anchor"},
                                                       {"a\\", "backslash"},
                                                       {"\\q", "escape"},
                                                       {"a\xff", "UTF-8"},
                                                       {"[[:alpha:]]", "named classes"},
                                                       {"[^\\s\\S]", "no text"}};
  for (const auto& [text, words] : cases) {
    EXPECT_NE(refusal(regex(text)).find(words), std::string::npos) << text << ": " << refusal(regex(text));
  }
  EXPECT_NE(refusal(regex("ab(?=c)")).find("byte"), std::string::npos);
}

TEST(Regex, SizeIsBounded) {
  EXPECT_NE(refusal(regex("((a{1000}){1000}){1000}")).find("too large"), std::string::npos);
  EXPECT_NE(refusal(regex("(((((a{9}){99}){99}){99}){99})*")).find("too large"), std::string::npos);
  EXPECT_NE(refusal(regex("a{0,999999}")).find("too large"), std::string::npos);
  EXPECT_NE(refusal(regex(std::string(5000, '('))).find("nested deeper"), std::string::npos);
  EXPECT_NE(refusal(regex(std::string(300'000, 'a'))).find("bytes"), std::string::npos);
  EXPECT_EQ(refusal(regex("a{0,50000}")), "");
}

TEST(Regex, WhateverIsDrawnMatches) {
  std::mt19937 random(7);
  MatcherPool pool(vocabulary());
  for (const char* text : {"(?:a|ab)(?:c|bcd)*", "[a-f0-9]{8}-[a-f0-9]{4}", "\\d{1,3}(?:\\.\\d{1,3}){3}",
                           "(?:foo|bar|foobar)(?:, (?:foo|q))*", "[^\"\\\\]{0,12}", "(?:(?:a|b)*abb)|the name",
                           "\"(?:[^\"\\\\\\n]|\\\\.)*\""}) {
    const auto constraint = compiled(regex(text));
    const std::regex judge(text);
    for (int i = 0; i < 40; ++i) {
      const std::string answer = random_answer(constraint, pool, random, 20);
      EXPECT_TRUE(accepts(*constraint, answer));
      const bool ascii = std::all_of(answer.begin(), answer.end(), [](char c) { return c > 0; });
      if (ascii) {
        EXPECT_TRUE(std::regex_match(answer, judge)) << text << ": " << answer;
      }
    }
  }
}

}  // namespace
}  // namespace mhub::constraint::test
