// SPDX-License-Identifier: Apache-2.0
#include "scanners.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "pattern.h"
#include "pre_tokenizer.h"

namespace mhub::text {
namespace {

std::vector<std::string> split(std::string_view regex, const std::string& text) {
  const Scanner scan = find_scanner(regex);
  EXPECT_NE(scan, nullptr);
  std::vector<std::string> out;
  for (size_t pos = 0; scan && pos < text.size();) {
    size_t end = scan(text, pos);
    if (end == kNoMatch) end = pos + 1;
    out.push_back(text.substr(pos, end - pos));
    pos = end;
  }
  return out;
}
using Pieces = std::vector<std::string>;

TEST(Scanners, Gpt2) {
  EXPECT_EQ(split(patterns::kGpt2, "It's  12 o'CLOCK!\n\n x"),
            (Pieces{"It", "'s", " ", " 12", " o", "'", "CLOCK", "!", "\n\n", " x"}));
  EXPECT_EQ(split(patterns::kGpt2, "I'LL"), (Pieces{"I", "'", "LL"}));
  EXPECT_EQ(split(patterns::kGpt2, "tail  \t"), (Pieces{"tail", "  \t"}));
}

TEST(Scanners, Llama3AndQwen2DifferInDigits) {
  EXPECT_EQ(split(patterns::kLlama3, "x1234567"), (Pieces{"x", "123", "456", "7"}));
  EXPECT_EQ(split(patterns::kQwen2, "x123"), (Pieces{"x", "1", "2", "3"}));
  EXPECT_EQ(split(patterns::kQwen2, "I'LL we\u2019re a'ſ"), (Pieces{"I", "'LL", " we", "\u2019re", " a", "'ſ"}));
  EXPECT_EQ(split(patterns::kQwen2, "   \n\n   x"), (Pieces{"   \n\n", "  ", " x"}));
  EXPECT_EQ(split(patterns::kQwen2,
                  "a!\r\n\x0B"
                  "b"),
            (Pieces{"a", "!\r\n",
                    "\x0B"
                    "b"}));
  EXPECT_EQ(split(patterns::kQwen2, "²Ⅳ〇"), (Pieces{"²", "Ⅳ", "〇"})) << "No and Nl are numbers";
}

TEST(Scanners, LettersOfUnicode16AreLetters) {
  EXPECT_EQ(split(patterns::kQwen2, "\U00010D4A\U00010D4B"), (Pieces{"\U00010D4A\U00010D4B"})) << "Garay";
}

TEST(Scanners, Deepseek3Words) {
  EXPECT_EQ(split(patterns::kDeepseek3Words, "(abc, x.y  \nz"), (Pieces{"(abc", ",", " x", ".y", "  \n", "z"}));
}

TEST(Scanners, TekkenCutsAtCase) {
  EXPECT_EQ(split(patterns::kTekken, "HTTPServer xY ÀB"), (Pieces{"HTTPServer", " x", "Y", " ÀB"}));
  EXPECT_EQ(split(patterns::kO200k, "don't GO'S 1234"), (Pieces{"don't", " GO'S", " ", "123", "4"}));
}

TEST(Scanners, UnknownPatternsHaveNone) {
  EXPECT_EQ(find_scanner("a+"), nullptr);
}

using Ranges = std::vector<std::pair<size_t, size_t>>;
Ranges matches(const Pattern& pattern, std::string_view text) {
  Ranges out;
  pattern.find_all(text, [&](size_t begin, size_t end) { out.emplace_back(begin, end); });
  return out;
}

// The hand-written scanner and the regular expression engine agree on random text (of characters old enough for both).
class AgainstEngine : public testing::TestWithParam<std::string_view> {};

TEST_P(AgainstEngine, SamePieces) {
  const std::string regex(GetParam());
  const auto engine = Pattern::regex("(?:" + regex + ")");  // other text, so no scanner is found
  ASSERT_TRUE(engine.has_value());
  const auto scanner = Pattern::regex(regex);
  ASSERT_TRUE(scanner.has_value());
  const std::vector<std::string> alphabet = {"a",      "Z",      "é",      "ſ",    "ǅ",    "ʰ",      "中", "か",
                                             "\u0301", "1",      "²",      "٣",    " ",    "  ",     "\n", "\r",
                                             "\t",     "\u00A0", "\u3000", "'",    "'s",   "'LL",    "!",  "/",
                                             "…",      "€",      "\u200B", "\x01", "🙂", "\u200D", "ß",  "-"};
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int i = 0; i < 12; ++i) text += alphabet[random() % alphabet.size()];
    ASSERT_EQ(matches(**scanner, text), matches(**engine, text)) << testing::PrintToString(text);
  }
}

INSTANTIATE_TEST_SUITE_P(AllPatterns, AgainstEngine,
                         testing::Values(patterns::kGpt2, patterns::kLlama3, patterns::kQwen2, patterns::kQwen35,
                                         patterns::kTekken, patterns::kO200k, patterns::kDeepseek3Digits,
                                         patterns::kDeepseek3Cjk, patterns::kDeepseek3Words, patterns::kNewline,
                                         patterns::kSpacedLetters, patterns::kSpacedPunctuation, patterns::kDeepseekCjk,
                                         patterns::kDigit));

TEST(OtherPatterns, AreBounded) {
  const auto pattern = Pattern::regex("(a+)+b");
  ASSERT_TRUE(pattern.has_value());
  EXPECT_EQ(matches(**pattern, std::string(100'000, 'a')), Ranges{});
  EXPECT_EQ(matches(**pattern,
                    "xaab\xFF"
                    "ab"),
            (Ranges{{1, 4}, {5, 7}}));
}

TEST(OtherPatterns, ALookAheadAloneMarksAPlace) {
  const auto pattern = Pattern::regex(R"((?=(\d{3})+(?!\d)))");
  ASSERT_TRUE(pattern.has_value());
  EXPECT_EQ(matches(**pattern, "1234567"), (Ranges{{1, 1}, {4, 4}}));
}

TEST(OtherPatterns, WordCharactersAreTheReferencesOwn) {
  EXPECT_EQ(matches(**Pattern::regex(R"(\w+x?)"), "e\u0301_1 \u24B6\u00B2"), (Ranges{{0, 5}, {6, 11}}));
  EXPECT_EQ(matches(**Pattern::regex(R"([^\w\s]x?)"), "e\u0301_!x"), (Ranges{{4, 6}}));
}

TEST(OtherPatterns, ABrokenOneIsNamed) {
  const auto pattern = Pattern::regex("(a");
  ASSERT_FALSE(pattern.has_value());
  EXPECT_EQ(pattern.error().code, ErrorCode::kBadModel);
  EXPECT_NE(pattern.error().message.find("(a"), std::string::npos);
}

Pieces pre_tokenize(PreTokenizerStep step, std::string_view text, bool at_start = true) {
  std::vector<PreTokenizerStep> steps;
  steps.emplace_back(std::move(step));
  PreTokenizer::Pieces pieces;
  PreTokenizer(std::move(steps)).split(text, at_start, pieces);
  return {pieces.pieces.begin(), pieces.pieces.end()};
}

TEST(PreTokenizer, SplitBehaviors) {
  const auto split_on_dash = [](SplitBehavior behavior, bool invert = false) {
    return pre_tokenize(SplitStep{Pattern::literal("-"), behavior, invert}, "the-final--countdown");
  };
  EXPECT_EQ(split_on_dash(SplitBehavior::kRemoved), (Pieces{"the", "final", "countdown"}));
  EXPECT_EQ(split_on_dash(SplitBehavior::kIsolated), (Pieces{"the", "-", "final", "-", "-", "countdown"}));
  EXPECT_EQ(split_on_dash(SplitBehavior::kMergedWithPrevious), (Pieces{"the-", "final-", "-", "countdown"}));
  EXPECT_EQ(split_on_dash(SplitBehavior::kMergedWithNext), (Pieces{"the", "-final", "-", "-countdown"}));
  EXPECT_EQ(split_on_dash(SplitBehavior::kContiguous), (Pieces{"the", "-", "final", "--", "countdown"}));
  EXPECT_EQ(split_on_dash(SplitBehavior::kRemoved, true), (Pieces{"-", "-", "-"}));
}

TEST(PreTokenizer, MetaspacePrepends) {
  MetaspaceStep first{"▁", MetaspaceStep::Prepend::kFirst, false};
  EXPECT_EQ(pre_tokenize(first, "a b"), (Pieces{"▁a▁b"}));
  EXPECT_EQ(pre_tokenize(first, " a"), (Pieces{"▁a"}));
  EXPECT_EQ(pre_tokenize(first, "a", false), (Pieces{"a"}));
  EXPECT_EQ(pre_tokenize(MetaspaceStep{"▁", MetaspaceStep::Prepend::kAlways, true}, "a b", false),
            (Pieces{"▁a", "▁b"}));
}

TEST(PreTokenizer, Digits) {
  const auto triples = *Pattern::regex(R"((?=(\d{3})+(?!\d)))");
  EXPECT_EQ(pre_tokenize(SplitStep{triples, SplitBehavior::kIsolated, false}, "1234567"), (Pieces{"1", "234", "567"}));
  EXPECT_EQ(pre_tokenize(CharClassStep{is_numeric, SplitBehavior::kIsolated}, "a12"), (Pieces{"a", "1", "2"}));
  EXPECT_EQ(pre_tokenize(CharClassStep{is_numeric, SplitBehavior::kContiguous}, "a12b"), (Pieces{"a", "12", "b"}));
}

}  // namespace
}  // namespace mhub::text
