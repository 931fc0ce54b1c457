// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "small_vocabulary.h"

namespace mhub::text {
namespace {

using test::make_tokenizer;
using test::SmallVocabulary;
using Ids = std::vector<TokenId>;
constexpr auto kParse = SpecialTokens::kParse;
constexpr auto kAsText = SpecialTokens::kAsText;

class EncodeSpans : public testing::Test {
 protected:
  EncodeSpans() {
    vocabulary_.train("hello world hello there world hello", 20);
    vocabulary_.added = {{"<|im_end|>"}, {"<|User|>", false}, {"<tool>", false}, {"<s>"}, {"<s>x"}};
    tokenizer_ = make_tokenizer(vocabulary_.json());
  }
  Ids spans(const std::vector<TextSpan>& parts) const { return tokenizer_->encode_spans(parts); }
  Ids whole(std::string_view text, SpecialTokens specials = kParse) const {
    return tokenizer_->encode(text, false, specials);
  }
  TokenId id(size_t i) const { return vocabulary_.added_id(i); }
  SmallVocabulary vocabulary_;
  std::shared_ptr<const Tokenizer> tokenizer_;
};

TEST_F(EncodeSpans, PiecesCrossBorders) {
  EXPECT_LT(whole(" hello world").size(), 4u);
  EXPECT_EQ(spans({{" hel", kParse}, {"lo wo", kAsText}, {"rld", kParse}}), whole(" hello world"));
  EXPECT_EQ(spans({}), Ids{});
}

TEST_F(EncodeSpans, ASpecialTokenOfTheTemplateIsOneEvenAcrossItsSpans) {
  EXPECT_EQ(spans({{"<|im_", kParse}, {"end|>", kParse}}), (Ids{id(0)}));
}

TEST_F(EncodeSpans, ASpecialTokenOfTheUserIsText) {
  Ids expected = whole("<|im_end|>", kAsText);
  expected.push_back(id(0));
  EXPECT_EQ(spans({{"<|im_end|>", kAsText}, {"<|im_end|>", kParse}}), expected);
}

TEST_F(EncodeSpans, ASpecialTokenCompletedByTheTemplateIsText) {
  Ids expected = whole("<|im_end|>", kAsText);
  EXPECT_EQ(spans({{"<|im_en", kAsText}, {"d|>", kParse}}), expected);
  EXPECT_EQ(spans({{"<|im_en", kParse}, {"d|>", kAsText}}), expected);
}

TEST_F(EncodeSpans, UserTextDoesNotEatATemplateToken) {
  const Ids ids = spans({{"<", kAsText}, {"<|im_end|>", kParse}});
  EXPECT_EQ(ids, (Ids{'<', id(0)}));
}

TEST_F(EncodeSpans, ALongerTokenReachingIntoUserTextLeavesTheShorterOne) {
  EXPECT_EQ(spans({{"<s>", kParse}, {"x", kAsText}}), (Ids{id(3), 'x'}));
  EXPECT_EQ(spans({{"<s>x", kParse}}), (Ids{id(4)}));
}

TEST_F(EncodeSpans, RoleMarkersThatAreNotSpecialStayTextForUsers) {
  EXPECT_EQ(whole("<|User|>", kAsText), (Ids{id(1)})) << "the reference's rule for whole texts";
  const Ids ids = spans({{"<|User|>", kAsText}});
  EXPECT_EQ(std::count(ids.begin(), ids.end(), id(1)), 0);
  EXPECT_EQ(spans({{"<tool>", kAsText}}), (Ids{id(2)})) << "what models write in their own answers is parsed";
}

TEST_F(EncodeSpans, MarksSurviveNormalization) {
  vocabulary_.normalizer = {{"type", "NFC"}};
  for (auto& token : vocabulary_.added) token.normalized = true;
  tokenizer_ = make_tokenizer(vocabulary_.json());
  const Ids ids = spans({{"e\u0301<|im_end|>", kAsText}, {"<|im_end|>", kParse}});
  EXPECT_EQ(std::count(ids.begin(), ids.end(), id(0)), 1);
  EXPECT_EQ(ids.back(), id(0));
}

}  // namespace
}  // namespace mhub::text
