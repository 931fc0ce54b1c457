// SPDX-License-Identifier: Apache-2.0
// The models other than byte-level BPE, on vocabularies small enough to follow by hand. The expected ids and texts are
// those of the tokenizers package.
#include <gtest/gtest.h>

#include "small_vocabulary.h"
#include "tokenizer_json.h"

namespace mhub::text {
namespace {

using test::make_tokenizer;
using Ids = std::vector<TokenId>;

struct Case {
  std::string text;
  Ids ids;
  std::string decoded;
};

void check(const Json& json, const std::vector<Case>& cases) {
  const auto tokenizer = make_tokenizer(json);
  ASSERT_NE(tokenizer, nullptr);
  for (const Case& c : cases) {
    EXPECT_EQ(tokenizer->encode(c.text, true, SpecialTokens::kParse), c.ids) << c.text;
    EXPECT_EQ(tokenizer->decode(c.ids, false), c.decoded) << c.text;
    Detokenizer stream(tokenizer, false);
    std::string joined;
    for (const TokenId id : c.ids) joined += stream.push(id);
    EXPECT_EQ(joined + stream.flush(), c.decoded) << c.text;
  }
}

Json unigram() {
  const Json metaspace = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "always"}, {"split", true}};
  return {{"model",
           {{"type", "Unigram"},
            {"unk_id", 0},
            {"vocab", Json::array({Json::array({"<unk>", 0.0}), Json::array({"▁", -2.0}), Json::array({"a", -3.0}),
                                   Json::array({"b", -3.5}), Json::array({"ab", -4.0}), Json::array({"▁ab", -4.5}),
                                   Json::array({"abab", -9.0}), Json::array({"▁a", -3.2})})}}},
          {"pre_tokenizer", metaspace},
          {"decoder", metaspace}};
}

TEST(UnigramModel, TakesTheLikeliestSegmentation) {
  check(unigram(),
        {{"ab", {5}, "ab"}, {"abab ba", {5, 4, 1, 3, 2}, "abab ba"}, {"a  b", {7, 1, 1, 3}, "a  b"}, {"", {}, ""}});
}

TEST(UnigramModel, FusesUnknownCharacters) {
  check(unigram(), {{"xyz ab", {1, 0, 5}, "<unk> ab"}, {"xaxx", {1, 0, 2, 0}, "<unk>a<unk>"}});
}

TEST(UnigramModel, SpellsUnknownCharactersInBytesWhenItCan) {
  Json json = unigram();
  json["model"]["byte_fallback"] = true;
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    json["model"]["vocab"].push_back(Json::array({name, -20.0}));
  }
  const auto tokenizer = make_tokenizer(json);
  EXPECT_EQ(tokenizer->encode("é ab", false, SpecialTokens::kParse), (Ids{1, 203, 177, 5}));
}

TEST(UnigramModel, RefusesDamagedVocabularies) {
  Json json = unigram();
  json["model"]["unk_id"] = 99;
  EXPECT_FALSE(tokenizer_from_json(json.dump(), "").has_value());
  json = unigram();
  json["model"]["vocab"][3] = Json::array({"b"});
  EXPECT_FALSE(tokenizer_from_json(json.dump(), "").has_value());
  json["model"]["vocab"][3] = Json::array({"a", -1.0});
  EXPECT_FALSE(tokenizer_from_json(json.dump(), "").has_value()) << "\"a\" occurs twice";
}

Json word_piece() {
  return {{"model",
           {{"type", "WordPiece"},
            {"unk_token", "[UNK]"},
            {"continuing_subword_prefix", "##"},
            {"max_input_chars_per_word", 6},
            {"vocab",
             {{"[UNK]", 0},
              {"un", 1},
              {"##aff", 2},
              {"##able", 3},
              {"aff", 4},
              {",", 5},
              {"##a", 6},
              {"a", 7},
              {"n", 8}}}}},
          {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
          {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}}};
}

TEST(WordPieceModel, TakesTheLongestPieceFirst) {
  check(word_piece(), {{"unaffa, aff", {1, 2, 6, 5, 4}, "unaffa, aff"}, {"a,a", {7, 5, 7}, "a, a"}});
}

TEST(WordPieceModel, AWordWithAMissOrTooLongIsUnknownAsAWhole) {
  check(word_piece(), {{"unaffable", {0}, "[UNK]"}, {"unx a", {0, 7}, "[UNK] a"}});
}

TEST(WordLevelModel, KnowsWholeWordsAndJoinsThemWithSpaces) {
  check({{"model",
          {{"type", "WordLevel"},
           {"unk_token", "<unk>"},
           {"vocab", {{"<unk>", 0}, {"hello", 1}, {"world", 2}, {"!", 3}}}}},
         {"pre_tokenizer", {{"type", "Whitespace"}}}},
        {{"hello world!", {1, 2, 3}, "hello world !"}, {"hello there", {1, 0}, "hello <unk>"}});
}

TEST(Bpe, SpellsContinuationsAndWordEnds) {
  check({{"model",
          {{"type", "BPE"},
           {"unk_token", "<unk>"},
           {"continuing_subword_prefix", "@"},
           {"end_of_word_suffix", "</w>"},
           {"vocab",
            {{"<unk>", 0},
             {"a", 1},
             {"@b", 2},
             {"@b</w>", 3},
             {"a</w>", 4},
             {"@c</w>", 5},
             {"ab", 6},
             {"abc</w>", 7},
             {"ab</w>", 8}}},
           {"merges", {"a @b", "ab @c</w>", "a @b</w>"}}}},
         {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
         {"decoder", {{"type", "BPEDecoder"}, {"suffix", "</w>"}}}},
        {{"abc ab a", {7, 8, 4}, "abc ab a"}, {"ac abb", {1, 5, 6, 3}, "a@c ab@b"}, {"q a", {0, 4}, "<unk>a"}});
}

}  // namespace
}  // namespace mhub::text
