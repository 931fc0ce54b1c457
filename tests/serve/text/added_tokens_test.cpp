// SPDX-License-Identifier: Apache-2.0
#include "added_tokens.h"

#include <gtest/gtest.h>

#include "small_vocabulary.h"

namespace mhub::text {
namespace {

using test::make_tokenizer;
using test::SmallVocabulary;
using Ids = std::vector<TokenId>;

Ids encode(const SmallVocabulary& v, std::string_view text, SpecialTokens specials = SpecialTokens::kParse) {
  return make_tokenizer(v.json())->encode(text, false, specials);
}

TEST(AddedTokens, TheLongestOfTheLeftmostMatchesWins) {
  SmallVocabulary v;
  v.added = {{"<a>"}, {"<a><b>"}, {"<b>"}};
  EXPECT_EQ(encode(v, "x<a><b><b>"), (Ids{'x', 257, 258}));
}

TEST(AddedTokens, SpecialOnesStayTextWhenAsked) {
  SmallVocabulary v;
  v.added = {{"<s>"}, {"<t>", false}};
  EXPECT_EQ(encode(v, "<s><t>", SpecialTokens::kAsText), (Ids{'<', 's', '>', 257}));
}

TEST(AddedTokens, StripFlagsSwallowSpaces) {
  SmallVocabulary v;
  v.added = {{"<l>", true, false, true, false}, {"<r>", true, false, false, true}};
  EXPECT_EQ(encode(v, "a \n<l> b"), (Ids{'a', 256, ' ', 'b'}));
  EXPECT_EQ(encode(v, "a <r> \n\u3000b"), (Ids{'a', ' ', 257, 'b'}));
  EXPECT_EQ(encode(v, "<r>  <l>"), (Ids{257, 256})) << "spaces already swallowed are not taken twice";
}

TEST(AddedTokens, SingleWordNeedsNonWordNeighbours) {
  SmallVocabulary v;
  v.added = {{"ab", false, false, false, false, true}};
  EXPECT_EQ(encode(v, "ab"), (Ids{256}));
  EXPECT_EQ(encode(v, "xab"), (Ids{'x', 'a', 'b'}));
  EXPECT_EQ(encode(v, "ab\u00e9").size(), 4u);
  EXPECT_EQ(encode(v, "(ab)"), (Ids{'(', 256, ')'}));
}

TEST(AddedTokens, NormalizedOnesAreFoundInNormalizedText) {
  SmallVocabulary v;
  v.normalizer = {{"type", "NFC"}};
  v.added = {{"caf\u00e9", false, true}, {"t\u00e9", false, false}};
  EXPECT_EQ(encode(v, "cafe\u0301"), (Ids{256}));
  EXPECT_EQ(encode(v, "te\u0301"), (Ids{'t', 0xC3, 0xA9})) << "not normalized: looked for in the text as given";
}

TEST(AddedTokens, SpecialMattersOnDecode) {
  SmallVocabulary v;
  v.added = {{"<s>"}, {"<think>", false}};
  const auto tokenizer = make_tokenizer(v.json());
  const Ids ids = {256, 'a', 257};
  EXPECT_EQ(tokenizer->decode(ids, false), "<s>a<think>");
  EXPECT_EQ(tokenizer->decode(ids, true), "a<think>");
  EXPECT_TRUE(tokenizer->is_special(256));
  EXPECT_FALSE(tokenizer->is_special(257));
  EXPECT_FALSE(tokenizer->is_special(-1));
  EXPECT_FALSE(tokenizer->is_special(1 << 30));
}

TEST(AddedTokens, AnOverlongOneIsRefused) {
  AddedTokenMatcher matcher;
  EXPECT_TRUE(matcher.add(std::string(1024, 'x'), 0, true).has_value());
  const auto refused = matcher.add(std::string(1025, 'x'), 1, true);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kBadModel);
}

}  // namespace
}  // namespace mhub::text
