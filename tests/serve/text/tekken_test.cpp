// SPDX-License-Identifier: Apache-2.0
#include "tekken.h"

#include <gtest/gtest.h>

#include "mhub/base/json.h"

namespace mhub::text {
namespace {

using Ids = std::vector<TokenId>;

std::string to_base64(std::string_view bytes) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (size_t k = 0; k < 4; ++k) {
      out.push_back(i + k > bytes.size() ? '=' : kLetters[bits >> (18 - 6 * k) & 63]);
    }
  }
  return out;
}

// Ranks 0..255 are the bytes, then "ab", "abc", " abc", and "beyond", which the declared size leaves out.
Json tekken() {
  Json vocab = Json::array();
  const auto add = [&](std::string_view text) {
    vocab.push_back({{"rank", vocab.size()}, {"token_bytes", to_base64(text)}, {"token_str", nullptr}});
  };
  for (int byte = 0; byte < 256; ++byte) add(std::string(1, static_cast<char>(byte)));
  for (const char* text : {"ab", "abc", " abc", "<s>", "beyond"}) add(text);
  return {{"config",
           {{"pattern", R"( ?\p{L}+|[^\p{L}]+)"}, {"default_vocab_size", 270}, {"default_num_special_tokens", 10}}},
          {"vocab", vocab},
          {"special_tokens",
           {{{"rank", 0}, {"token_str", "<unk>"}},
            {{"rank", 1}, {"token_str", "<s>"}},
            {{"rank", 2}, {"token_str", "</s>"}},
            {{"rank", 3}, {"token_str", "[INST]"}}}}};
}

TEST(Tekken, MergesByTheRankOfTheProductAndTakesWholePieces) {
  const auto t = tokenizer_from_tekken(tekken().dump(), "");
  ASSERT_TRUE(t.has_value()) << t.error().one_line();
  EXPECT_EQ((*t)->encode("abc", true, SpecialTokens::kParse), (Ids{1, 267}));
  EXPECT_EQ((*t)->encode("abc abc", false, SpecialTokens::kParse), (Ids{267, 268}));
  EXPECT_EQ((*t)->encode("xab", false, SpecialTokens::kParse), (Ids{10 + 'x', 266}));
  EXPECT_EQ((*t)->encode("beyond", false, SpecialTokens::kParse).size(), 6u);
  EXPECT_EQ((*t)->encode("é", false, SpecialTokens::kParse), (Ids{10 + 0xC3, 10 + 0xA9}));
  EXPECT_EQ((*t)->decode(Ids{10 + 0xC3, 10 + 0xA9, 268}, false), "é abc");
  EXPECT_EQ((*t)->vocab_size(), 270);
}

TEST(Tekken, SpecialTokensAreTextOfAUser) {
  const auto t = *tokenizer_from_tekken(tekken().dump(), "");
  EXPECT_EQ(t->encode("[INST]ab", false, SpecialTokens::kParse), (Ids{3, 266}));
  EXPECT_EQ(t->encode("[INST]", false, SpecialTokens::kAsText).size(), 6u);
  EXPECT_EQ(t->token_id("<s>"), 1) << "the control token, not the piece with the same text";
  EXPECT_EQ(t->bos_token(), 1);
  EXPECT_EQ(t->eos_token(), 2);
}

TEST(Tekken, DamageIsRefused) {
  const auto refused = [](const Json& json, std::string_view part) {
    const auto t = tokenizer_from_tekken(json.dump(), "");
    ASSERT_FALSE(t.has_value()) << part;
    EXPECT_NE(t.error().message.find(part), std::string::npos) << t.error().message;
  };
  Json json = tekken();
  json["config"].erase("pattern");
  refused(json, "pattern");
  json = tekken();
  json["config"]["default_vocab_size"] = 5;
  refused(json, "more special");
  json["config"]["default_vocab_size"] = 1000;
  refused(json, "entries");
  json = tekken();
  json["vocab"][7]["token_bytes"] = "!!!";
  refused(json, "entry 7");
  json = tekken();
  json["vocab"][7]["rank"] = 9;
  refused(json, "entry 7");
  json = tekken();
  json["special_tokens"][3]["rank"] = 10;
  refused(json, "[INST]");
}

}  // namespace
}  // namespace mhub::text
