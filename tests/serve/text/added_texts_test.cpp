// SPDX-License-Identifier: Apache-2.0
#include "mhub/text/added_texts.h"

#include <gtest/gtest.h>

#include "small_vocabulary.h"
#include "support/shared_dir.h"

namespace mhub::text {
namespace {

using test::make_tokenizer;
using test::SmallVocabulary;

std::vector<std::string> texts(const Tokenizer& tokenizer, bool first) {
  std::vector<std::string> out;
  EXPECT_TRUE(for_each_added_text(tokenizer, first, [&](std::string_view text) { out.emplace_back(text); }));
  return out;
}

void expect_pieces_join(const Tokenizer& tokenizer, const std::vector<std::string>& inputs) {
  const auto first = texts(tokenizer, true), others = texts(tokenizer, false);
  for (const std::string& text : inputs) {
    std::string joined;
    bool begun = false;
    const auto ids = tokenizer.encode(text, true, SpecialTokens::kAsText);
    for (const TokenId id : ids) {
      if (tokenizer.is_special(id)) continue;
      joined += (begun ? others : first).at(static_cast<size_t>(id));
      begun = true;
    }
    EXPECT_EQ(joined, tokenizer.decode(ids, true));
  }
}

TEST(AddedTexts, BytesAreBytesAndSpecialTokensNothing) {
  SmallVocabulary v;
  v.merges = {{"Ġ", "a"}};
  v.added = {{"<s>"}, {"<tool>", false}};
  const auto all = texts(*make_tokenizer(v.json()), false);
  ASSERT_EQ(all.size(), 259u);
  EXPECT_EQ(all[0xF0], "\xF0") << "half a character";
  EXPECT_EQ(all[256], " a");
  EXPECT_EQ(all[257], "");
  EXPECT_EQ(all[258], "<tool>");
}

TEST(AddedTexts, TheFirstTokenLosesItsSpace) {
  const auto tokenizer = make_tokenizer(test::character_vocabulary({"▁", "a", "▁a"}, {"▁ a"}));
  const auto first = texts(*tokenizer, true), others = texts(*tokenizer, false);
  EXPECT_EQ(first[261], "a");
  EXPECT_EQ(others[261], " a");
  EXPECT_EQ(first[259], "");
  EXPECT_EQ(others[259], " ");
  EXPECT_EQ(others[3 + 0xE4], "\xE4");
  EXPECT_EQ(first[1], "") << "<s>";
}

TEST(AddedTexts, WordPiecesHaveNone) {
  Json json = SmallVocabulary{}.json();
  json["model"] = {{"type", "WordPiece"},
                   {"unk_token", "[UNK]"},
                   {"continuing_subword_prefix", "##"},
                   {"max_input_chars_per_word", 100},
                   {"vocab", {{"[UNK]", 0}, {"a", 1}, {"##b", 2}}}};
  json["pre_tokenizer"] = {{"type", "Whitespace"}};
  json["decoder"] = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  EXPECT_FALSE(for_each_added_text(*make_tokenizer(json), false, [](std::string_view) { ADD_FAILURE(); }));
}

TEST(AddedTexts, PiecesOfPublishedTokenizersJoinToTheText) {
  const auto shared = test::shared_dir();
  if (!shared) GTEST_SKIP() << "no shared data";
  for (const char* name : {"llama-2", "phi-3", "qwen2.5", "gemma-4"}) {
    SCOPED_TRACE(name);
    const auto tokenizer = load_tokenizer(*shared / "tokenizers" / name);
    if (!tokenizer) continue;
    expect_pieces_join(**tokenizer, {"Hello, world!", " two  spaces", "{\"naïve\": [1, 2.5, \"日本\"]}\n\tx",
                                     "🙂👩‍👩‍👧 ok"});
  }
}

}  // namespace
}  // namespace mhub::text
