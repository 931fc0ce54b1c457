// SPDX-License-Identifier: Apache-2.0
#include "bpe.h"

#include <gtest/gtest.h>

#include "small_vocabulary.h"

namespace mhub::text {
namespace {

using test::make_tokenizer;
using test::SmallVocabulary;
using Ids = std::vector<TokenId>;

Ids encode(const Json& json, std::string_view text) {
  return make_tokenizer(json)->encode(text, false, SpecialTokens::kParse);
}

TEST(Bpe, MergesLowestRankFirstAndLeftmostOnTies) {
  SmallVocabulary v;
  v.merges = {{"b", "c"}, {"a", "b"}, {"a", "a"}};  // 256 bc, 257 ab, 258 aa
  EXPECT_EQ(encode(v.json(), "abc"), (Ids{'a', 256}));
  EXPECT_EQ(encode(v.json(), "aaa"), (Ids{258, 'a'}));
}

TEST(Bpe, LongPiecesGiveTheSameIdsAsShortOnes) {
  SmallVocabulary v;
  v.train("abracadabra abracadabra cadabra", 12);
  const auto tokenizer = make_tokenizer(v.json());
  std::string word = "abracadabracadabra";
  const Ids once = tokenizer->encode(word, false, SpecialTokens::kParse);
  EXPECT_LT(once.size(), word.size());
  // A byte that no merge touches keeps the repetitions apart inside one piece, so the ids repeat too.
  std::string repeated;
  Ids expected;
  for (int i = 0; i < 40; ++i) {
    repeated += word + "z";
    expected.insert(expected.end(), once.begin(), once.end());
    expected.push_back('z');
  }
  EXPECT_EQ(tokenizer->encode(repeated, false, SpecialTokens::kParse), expected);
}

TEST(Bpe, AWholePieceInTheVocabularyIsTakenBeforeMergingWithIgnoreMerges) {
  SmallVocabulary v;
  v.merges = {{"x", "y"}, {"z", "w"}, {"xy", "zw"}, {"y", "z"}};
  Json json = v.json();
  json["model"]["vocab"]["xyzq"] = 260;
  EXPECT_EQ(encode(json, "xyzq").size(), 3u);
  json["model"]["ignore_merges"] = true;
  EXPECT_EQ(encode(json, "xyzq"), (Ids{260}));
}

TEST(Bpe, AnUnknownCharacterFallsBackToBytesAndThenToUnk) {
  Json json = test::character_vocabulary({"▁", "a"}, {});
  EXPECT_EQ(encode(json, "aé"), (Ids{259, 260, 3 + 0xC3, 3 + 0xA9}));
  json["model"]["byte_fallback"] = false;
  EXPECT_EQ(encode(json, "aéü a"), (Ids{259, 260, 0, 259, 260})) << "adjacent unknowns fuse";
  json["model"]["fuse_unk"] = false;
  EXPECT_EQ(encode(json, "aéü"), (Ids{259, 260, 0, 0}));
}

TEST(Bpe, MergesAcrossWordsAreFoundWhereAVocabularyHasThem) {
  const Json words = test::character_vocabulary({"▁", "a", "▁a", "▁▁"}, {"▁ a", "▁ ▁"});
  EXPECT_EQ(encode(words, "a a  a"), (Ids{261, 261, 259, 261})) << "the lower rank wins inside a word";
  const Json crossing = test::character_vocabulary({"▁", "a", "a▁"}, {"a ▁"});
  EXPECT_EQ(encode(crossing, "a a"), (Ids{259, 261, 260}));
}

TEST(Bpe, AByteTokenTypedAsTextIsText) {
  const Json json = test::character_vocabulary({"▁", "<", "0", "x", "A", ">"}, {});
  EXPECT_EQ(encode(json, "<0x0A>"), (Ids{259, 260, 261, 262, 261, 263, 264}));
}

TEST(Bpe, IllFormedBytesOfAByteLevelTextComeBackAsReplacements) {
  SmallVocabulary v;
  const auto tokenizer = make_tokenizer(v.json());
  const Ids ids = tokenizer->encode("a\xFF", false, SpecialTokens::kParse);
  EXPECT_EQ(ids, (Ids{'a', 0xFF}));
  EXPECT_EQ(tokenizer->decode(ids, false), "a\uFFFD");
}

}  // namespace
}  // namespace mhub::text
