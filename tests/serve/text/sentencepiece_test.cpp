// SPDX-License-Identifier: Apache-2.0
// tokenizer.model files made here. The expected ids are those of the sentencepiece package for the same models.
#include "sentencepiece.h"

#include <gtest/gtest.h>

#include <bit>
#include <limits>

#include "support/gguf_builder.h"
#include "support/temp_dir.h"

namespace mhub::text {
namespace {

using Ids = std::vector<TokenId>;
using Type = SentencePieces::Type;

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
  return out;
}
std::string integer(uint32_t field, uint64_t value) {
  return varint(field << 3) + varint(value);
}
std::string bytes(uint32_t field, const std::string& value) {
  return varint(field << 3 | 2) + varint(value.size()) + value;
}
std::string number(uint32_t field, float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  std::string out = varint(field << 3 | 5);
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>(bits >> 8 * i));
  return out;
}

struct Piece {
  std::string text;
  float score;
  Type type = Type::kNormal;
};

struct Settings {
  int model_type = 2;  // BPE
  bool byte_fallback = false, dummy_prefix = true, remove_extra = false;
};

std::string model(const std::vector<Piece>& pieces, const Settings& settings = {}) {
  std::string out;
  for (const Piece& p : pieces) {
    out += bytes(1, bytes(1, p.text) + number(2, p.score) + integer(3, static_cast<uint64_t>(p.type)));
  }
  out += bytes(2, integer(3, static_cast<uint64_t>(settings.model_type)) + integer(35, settings.byte_fallback));
  out += bytes(3, integer(3, settings.dummy_prefix) + integer(4, settings.remove_extra) + integer(5, 1));
  return out;
}

std::vector<Piece> bpe_pieces() {
  return {{"<unk>", 0, Type::kUnknown},
          {"<s>", 0, Type::kControl},
          {"</s>", 0, Type::kControl},
          {"ab", -1},
          {"▁ab", -2},
          {"bc", -3},
          {"abc", -4},
          {"▁", -5},
          {"a", -6},
          {"b", -7},
          {"c", -8},
          {"<tool>", 0, Type::kUserDefined}};
}

std::shared_ptr<const Tokenizer> load(const std::string& file, const std::string& config = "") {
  auto loaded = tokenizer_from_sentencepiece(file, config);
  EXPECT_TRUE(loaded.has_value()) << (loaded ? "" : loaded.error().one_line());
  return loaded ? *loaded : nullptr;
}

TEST(SentencePiece, MergesTheBestScoringPairFirst) {
  const auto t = load(model(bpe_pieces()));
  EXPECT_EQ(t->encode("abc", false, SpecialTokens::kParse), (Ids{4, 10})) << "ab, then ▁ab; abc comes too late";
  EXPECT_EQ(t->encode("bc", false, SpecialTokens::kParse), (Ids{7, 5}));
  EXPECT_EQ(t->encode("ab ab", true, SpecialTokens::kParse), (Ids{1, 4, 4}));
  EXPECT_EQ(t->decode(Ids{1, 4, 4}, true), "ab ab");
}

TEST(SentencePiece, UnknownCharactersAreFusedOrSpelledInBytes) {
  EXPECT_EQ(load(model(bpe_pieces()))->encode("xyab", false, SpecialTokens::kParse), (Ids{7, 0, 3}));
  auto pieces = bpe_pieces();
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    pieces.push_back({name, 0, Type::kByte});
  }
  Settings settings;
  settings.byte_fallback = true;
  const auto t = load(model(pieces, settings));
  EXPECT_EQ(t->encode("é", false, SpecialTokens::kParse), (Ids{7, 12 + 0xC3, 12 + 0xA9}));
  EXPECT_EQ(t->decode(Ids{7, 12 + 0xC3, 12 + 0xA9}, false), "é");
  EXPECT_EQ(t->encode("<0xC3>", false, SpecialTokens::kParse).front(), 7) << "typed bytes are text";
  EXPECT_EQ(t->encode("<0xC3>", false, SpecialTokens::kParse).size(), 7u);
}

TEST(SentencePiece, ACharacterThatIsNoPieceStillMerges) {
  auto pieces = bpe_pieces();
  pieces.push_back({"xa", -0.5F});
  const auto t = load(model(pieces));
  EXPECT_EQ(t->encode("xa", false, SpecialTokens::kParse), (Ids{7, 12}));
  EXPECT_EQ(t->encode("xb", false, SpecialTokens::kParse), (Ids{7, 0, 9}));
}

TEST(SentencePiece, ControlPiecesAreTextOfAUserAndUserDefinedPiecesAlwaysMatch) {
  const auto t = load(model(bpe_pieces()));
  EXPECT_EQ(t->encode("a<s>", false, SpecialTokens::kParse), (Ids{7, 8, 1}));
  EXPECT_EQ(t->encode("a<s>", false, SpecialTokens::kAsText), (Ids{7, 8, 0}));
  EXPECT_EQ(t->encode("a<tool>b", false, SpecialTokens::kAsText), (Ids{7, 8, 11, 9}));
  EXPECT_TRUE(t->is_special(1));
  EXPECT_FALSE(t->is_special(11));
}

TEST(SentencePiece, SpacesFollowTheNormalizerSettings) {
  Settings settings;
  EXPECT_EQ(load(model(bpe_pieces(), settings))->encode(" a  b ", false, SpecialTokens::kParse),
            (Ids{7, 7, 8, 7, 7, 9, 7}));
  settings.remove_extra = true;
  EXPECT_EQ(load(model(bpe_pieces(), settings))->encode(" a  b ", false, SpecialTokens::kParse), (Ids{7, 8, 7, 9}));
  EXPECT_EQ(load(model(bpe_pieces(), settings))->encode("   ", false, SpecialTokens::kParse), Ids{});
  settings.dummy_prefix = false;
  EXPECT_EQ(load(model(bpe_pieces(), settings))->encode("a", false, SpecialTokens::kParse), (Ids{8}));
}

TEST(SentencePiece, ThePrefixBehindAddedTokensFollowsLegacy) {
  const std::string file = model(bpe_pieces());
  EXPECT_EQ(load(file)->encode("<s>a", false, SpecialTokens::kParse), (Ids{1, 7, 8}));
  EXPECT_EQ(load(file, R"({"legacy":false})")->encode("<s>a", false, SpecialTokens::kParse), (Ids{1, 8}));
}

TEST(SentencePiece, TheConfigAddsTokens) {
  const auto t = load(model(bpe_pieces()), R"({"add_bos_token":false,"eos_token":"<|end|>","added_tokens_decoder":{
      "12":{"content":"<|end|>","special":true},"11":{"content":"<tool>"}}})");
  EXPECT_EQ(t->encode("a<|end|>", true, SpecialTokens::kParse), (Ids{7, 8, 12}));
  EXPECT_EQ(t->eos_token(), 12);
  EXPECT_FALSE(
      tokenizer_from_sentencepiece(model(bpe_pieces()), R"({"added_tokens_decoder":{"3":{"content":"<|end|>"}}})")
          .has_value());
}

TEST(SentencePiece, UnigramTakesTheLikeliestPath) {
  Settings settings;
  settings.model_type = 1;
  const auto t = load(model({{"<unk>", 0, Type::kUnknown},
                             {"<s>", 0, Type::kControl},
                             {"</s>", 0, Type::kControl},
                             {"▁", -2},
                             {"a", -3},
                             {"b", -3.5F},
                             {"ab", -4},
                             {"▁ab", -4.5F},
                             {"abab", -9}},
                            settings));
  EXPECT_EQ(t->encode("abab ba", true, SpecialTokens::kParse), (Ids{7, 6, 3, 5, 4, 2}));
  EXPECT_EQ(t->encode("xyb", false, SpecialTokens::kParse), (Ids{3, 0, 5}));
}

TEST(SentencePiece, DamageIsRefused) {
  const std::string good = model(bpe_pieces());
  for (size_t length = 0; length < good.size(); ++length) {
    (void)tokenizer_from_sentencepiece(std::string_view(good).substr(0, length), "");
  }
  EXPECT_FALSE(tokenizer_from_sentencepiece("", "").has_value());
  EXPECT_FALSE(tokenizer_from_sentencepiece("no protobuf at all", "").has_value());
  EXPECT_FALSE(tokenizer_from_sentencepiece(model({{"a", 0}, {"a", 0}}), "").has_value()) << "a piece twice";
  EXPECT_FALSE(tokenizer_from_sentencepiece(model({{"a", std::numeric_limits<float>::quiet_NaN()}}), "").has_value());
  Settings words;
  words.model_type = 3;
  EXPECT_NE(tokenizer_from_sentencepiece(model(bpe_pieces(), words), "").error().message.find("word"),
            std::string::npos);
  EXPECT_FALSE(tokenizer_from_sentencepiece(good + bytes(3, bytes(2, std::string("\xFF\xFF\0\0", 4))), "").has_value())
      << "a character map longer than its field";
}

test::GgufBuilder gguf_pieces(const char* kind) {
  std::vector<std::string> texts;
  std::vector<int32_t> types;
  std::vector<float> scores;
  for (const Piece& p : bpe_pieces()) {
    texts.push_back(p.text);
    types.push_back(static_cast<int32_t>(p.type));
    scores.push_back(p.score);
  }
  test::GgufBuilder b;
  b.text("general.architecture", "llama").text("tokenizer.ggml.model", kind).texts("tokenizer.ggml.tokens", texts);
  b.i32s("tokenizer.ggml.token_type", types).f32s("tokenizer.ggml.scores", scores);
  return b;
}

Result<std::shared_ptr<const Tokenizer>> load_gguf(const test::GgufBuilder& builder) {
  const test::TempDir dir;
  test::write_file(dir / "m.gguf", builder.build());
  auto gguf = formats::open_gguf(dir / "m.gguf");
  EXPECT_TRUE(gguf.has_value()) << (gguf ? "" : gguf.error().one_line());
  return tokenizer_from_gguf(*gguf);
}

TEST(SentencePieceGguf, ReadsTheSameVocabularyFromGguf) {
  const auto loaded = load_gguf(gguf_pieces("llama"));
  ASSERT_TRUE(loaded.has_value()) << loaded.error().one_line();
  EXPECT_EQ((*loaded)->encode("abc<tool>", true, SpecialTokens::kParse), (Ids{1, 4, 10, 11}));
  EXPECT_EQ((*loaded)->encode("a<s>b", false, SpecialTokens::kParse), (Ids{7, 8, 1, 7, 9})) << "a prefix behind <s>";
  EXPECT_EQ((*loaded)->bos_token(), 1);
  EXPECT_EQ((*loaded)->eos_token(), 2);
  auto bare = gguf_pieces("llama");
  bare.boolean("tokenizer.ggml.add_space_prefix", false).boolean("tokenizer.ggml.add_bos_token", false);
  EXPECT_EQ((*load_gguf(bare))->encode("bc", true, SpecialTokens::kParse), (Ids{5}));
}

TEST(SentencePieceGguf, ScoresMustCoverTheTokens) {
  auto builder = gguf_pieces("llama");
  builder.remove("tokenizer.ggml.scores");
  EXPECT_NE(load_gguf(builder).error().message.find("scores"), std::string::npos);
}

}  // namespace
}  // namespace mhub::text
