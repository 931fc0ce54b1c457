// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>

#include "small_vocabulary.h"
#include "utf8.h"

namespace mhub::text {
namespace {

using test::make_tokenizer;
using test::SmallVocabulary;
using Ids = std::vector<TokenId>;

std::vector<std::string> stream(std::shared_ptr<const Tokenizer> tokenizer, const Ids& ids, bool skip = false) {
  Detokenizer detokenizer(std::move(tokenizer), skip);
  std::vector<std::string> out;
  for (const TokenId id : ids) out.push_back(detokenizer.push(id));
  out.push_back(detokenizer.flush());
  return out;
}
using Pieces = std::vector<std::string>;

TEST(Detokenizer, HoldsHalfCharactersBack) {
  const auto tokenizer = make_tokenizer(SmallVocabulary{}.json());
  EXPECT_EQ(stream(tokenizer, {'a', 0xF0, 0x9F, 0x99, 0x82, 'b'}), (Pieces{"a", "", "", "", "🙂", "b", ""}));
  EXPECT_EQ(stream(tokenizer, {'a', 0xF0, 0x9F}), (Pieces{"a", "", "", "\uFFFD"}));
  EXPECT_EQ(stream(tokenizer, {0xFF, 'a'}), (Pieces{"", "\uFFFDa", ""}));
}

TEST(Detokenizer, SkipsSpecialTokens) {
  SmallVocabulary v;
  v.added = {{"<s>"}};
  EXPECT_EQ(stream(make_tokenizer(v.json()), {256, 'a'}, true), (Pieces{"", "a", ""}));
  EXPECT_EQ(stream(make_tokenizer(v.json()), {256, 'a'}, false), (Pieces{"<s>", "a", ""}));
}

TEST(Detokenizer, StripsTheFirstSpaceOnly) {
  const auto tokenizer = make_tokenizer(test::character_vocabulary({"▁", "a", "▁a"}, {"▁ a"}));
  EXPECT_EQ(stream(tokenizer, {261, 261, 259}), (Pieces{"a", " a", " ", ""}));
}

TEST(Detokenizer, PiecesTogetherAreTheWholeText) {
  SmallVocabulary v;
  v.train("naïve café 中文 🙂🙂 naïve café", 30);
  v.added = {{"<s>"}};
  const auto tokenizer = make_tokenizer(v.json());
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    Ids ids;
    for (int i = 0; i < 20; ++i) ids.push_back(static_cast<TokenId>(random() % 290) - 2);
    for (const bool skip : {false, true}) {
      std::string joined;
      for (const auto& piece : stream(tokenizer, ids, skip)) {
        EXPECT_TRUE(is_valid_utf8(piece));
        joined += piece;
      }
      ASSERT_EQ(joined, tokenizer->decode(ids, skip));
    }
  }
}

TEST(Detokenizer, ARunOfIllFormedFallbackBytesIsLinear) {
  const auto tokenizer = make_tokenizer(test::character_vocabulary({"a"}, {}));
  Detokenizer detokenizer(tokenizer, false);
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += detokenizer.push(3 + 0xFF);
  EXPECT_EQ(text, "");
  text += detokenizer.flush();
  EXPECT_EQ(text.size(), 3u * 300'000);
}

}  // namespace
}  // namespace mhub::text
