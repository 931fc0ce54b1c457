// SPDX-License-Identifier: Apache-2.0
#include "tokenizer_json.h"

#include <gtest/gtest.h>

#include "small_vocabulary.h"
#include "support/temp_dir.h"

namespace mhub::text {
namespace {

using test::make_tokenizer;
using test::SmallVocabulary;
using Ids = std::vector<TokenId>;

std::string refusal(const Json& json) {
  const auto loaded = tokenizer_from_json(json.dump(), "");
  EXPECT_FALSE(loaded.has_value());
  if (loaded) return "";
  EXPECT_EQ(loaded.error().code, ErrorCode::kBadModel);
  return loaded.error().message;
}

TEST(TokenizerJson, StrayTruncationIsIgnored) {
  SmallVocabulary v;  // its JSON says max_length 5
  EXPECT_EQ(make_tokenizer(v.json())->encode("abcdefgh", true, SpecialTokens::kParse).size(), 8u);
}

TEST(TokenizerJson, PostProcessorAddsTokens) {
  SmallVocabulary v;
  v.added = {{"<s>"}, {"</s>"}};
  v.post_processor = {
      {"type", "Sequence"},
      {"processors",
       {{{"type", "ByteLevel"}},
        {{"type", "TemplateProcessing"},
         {"single",
          {{{"SpecialToken", {{"id", "<s>"}}}}, {{"Sequence", {{"id", "A"}}}}, {{"SpecialToken", {{"id", "</s>"}}}}}},
         {"special_tokens", {{"<s>", {{"ids", {256}}}}, {"</s>", {{"ids", {257}}}}}}}}}};
  const auto tokenizer = make_tokenizer(v.json());
  EXPECT_EQ(tokenizer->encode("a", true, SpecialTokens::kParse), (Ids{256, 'a', 257}));
  EXPECT_EQ(tokenizer->encode("a", false, SpecialTokens::kParse), (Ids{'a'}));
}

TEST(TokenizerJson, LlamaClassesTakeTheConfigsFlags) {
  SmallVocabulary v;
  v.added = {{"<s>"}, {"</s>"}};
  const std::string flags =
      R"("bos_token":{"content":"<s>"},"eos_token":"</s>","add_bos_token":true,"add_eos_token":true,
                               "model_max_length":1000000000000000019884624838656)";
  const auto llama = make_tokenizer(v.json(), R"({"tokenizer_class":"LlamaTokenizerFast",)" + flags + "}");
  EXPECT_EQ(llama->encode("a", true, SpecialTokens::kParse), (Ids{256, 'a', 257}));
  EXPECT_EQ(llama->bos_token(), 256);
  EXPECT_EQ(llama->eos_token(), 257);
  const auto qwen = make_tokenizer(v.json(), R"({"tokenizer_class":"Qwen2Tokenizer",)" + flags + "}");
  EXPECT_EQ(qwen->encode("a", true, SpecialTokens::kParse), (Ids{'a'}));
}

TEST(TokenizerJson, LlamaStyleCharacters) {
  const Json json = test::character_vocabulary({"▁", "a", "b", "▁a", "▁ab"}, {"▁ a", "▁a b"});
  const auto tokenizer = make_tokenizer(json);
  EXPECT_EQ(tokenizer->encode("ab ab", true, SpecialTokens::kParse), (Ids{1, 263, 263}));
  EXPECT_EQ(tokenizer->encode("</s>ab", false, SpecialTokens::kParse), (Ids{2, 263})) << "▁ before every segment";
  EXPECT_EQ(tokenizer->encode("", true, SpecialTokens::kParse), (Ids{1}));
  EXPECT_EQ(tokenizer->decode(Ids{1, 263, 263}, true), "ab ab");
  EXPECT_EQ(tokenizer->decode(Ids{259, 259, 260}, true), " a") << "one space is stripped";
  EXPECT_EQ(tokenizer->decode(Ids{3 + 0xE4, 3 + 0xBD, 3 + 0xA0}, true), "你");
  EXPECT_EQ(tokenizer->decode(Ids{3 + 0xE4, 3 + 0xBD, 260}, true), "\uFFFD\uFFFDa") << "one per byte";
}

TEST(TokenizerJson, MergesMayBePairs) {
  SmallVocabulary v;
  v.merges = {{"a", "b"}};
  Json json = v.json();
  json["model"]["merges"] = Json::array({Json::array({"a", "b"})});
  EXPECT_EQ(make_tokenizer(json)->encode("ab", false, SpecialTokens::kParse), (Ids{256}));
}

TEST(TokenizerJson, StepsBehindByteLevelSeeTheMappedText) {  // as Falcon has it
  SmallVocabulary v;
  v.merges = {{"1", "2"}, {"Ġ", "a"}};
  v.pre_tokenizer = {{"type", "Sequence"},
                     {"pretokenizers",
                      {{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}},
                       {{"type", "Digits"}, {"individual_digits", true}}}}};
  const auto tokenizer = make_tokenizer(v.json());
  EXPECT_EQ(tokenizer->encode("12 a", false, SpecialTokens::kParse), (Ids{'1', '2', 257}));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("é 12", false, SpecialTokens::kParse), false), "é 12");
}

TEST(TokenizerJson, UnsupportedPartsAreNamed) {
  SmallVocabulary v;
  const auto with = [&](const char* part, Json value) {
    Json json = v.json();
    json[part] = std::move(value);
    return refusal(json);
  };
  EXPECT_NE(with("model", {{"type", "Oracle"}, {"vocab", {{"a", 0}}}}).find("Oracle"), std::string::npos);
  EXPECT_NE(with("normalizer", {{"type", "Precompiled"}}).find("Precompiled"), std::string::npos);
  EXPECT_NE(with("pre_tokenizer", {{"type", "UnicodeScripts"}}).find("UnicodeScripts"), std::string::npos);
  EXPECT_NE(with("decoder", {{"type", "CTC"}}).find("CTC"), std::string::npos);
  EXPECT_NE(with("post_processor", {{"type", "Magic"}}).find("Magic"), std::string::npos);
  EXPECT_NE(
      with("pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}}).find("(a"),
      std::string::npos);
}

TEST(TokenizerJson, DamagedVocabulariesAreRefused) {
  SmallVocabulary v;
  v.merges = {{"a", "b"}};
  const auto with_vocab = [&](const char* text, Json id) {
    Json json = v.json();
    json["model"]["vocab"][text] = std::move(id);
    return refusal(json);
  };
  EXPECT_NE(with_vocab("zz", 2147483648).find("zz"), std::string::npos);
  EXPECT_NE(with_vocab("zz", -1).find("zz"), std::string::npos);
  EXPECT_NE(with_vocab("zz", 3).find("shares the id"), std::string::npos);
  EXPECT_NE(with_vocab("zz", "7").find("zz"), std::string::npos);
  EXPECT_NE(with_vocab("zz", 516).find("zz"), std::string::npos) << "ids stay below twice the entries";
  Json json = v.json();
  json["model"]["merges"] = {"a b", "q nothing"};
  EXPECT_NE(refusal(json).find("nothing"), std::string::npos);
  json["model"]["merges"] = {"ab"};
  EXPECT_NE(refusal(json).find("no pair"), std::string::npos);
  json = v.json();
  json["added_tokens"] = {{{"id", 97}, {"content", "<x>"}, {"special", true}}};
  EXPECT_NE(refusal(json).find("<x>"), std::string::npos) << "97 is the letter a";
  json["added_tokens"] = {{{"id", 257}, {"content", ""}}};
  EXPECT_NE(refusal(json).find("added_tokens"), std::string::npos);
}

TEST(TokenizerJson, DeepNestingIsRefused) {
  std::string text = R"({"model":{"type":"BPE","vocab":{},"merges":[]},"normalizer":)";
  for (int i = 0; i < 100'000; ++i) text += R"({"type":"Sequence","normalizers":[)";
  EXPECT_FALSE(tokenizer_from_json(text, "").has_value());
  Json sequence = {{"type", "NFC"}};
  for (int i = 0; i < 20; ++i) sequence = {{"type", "Sequence"}, {"normalizers", {sequence}}};
  SmallVocabulary v;
  v.normalizer = sequence;
  EXPECT_NE(refusal(v.json()).find("Sequence"), std::string::npos);
}

TEST(LoadTokenizer, ReadsADirectory) {
  const test::TempDir dir;
  SmallVocabulary v;
  v.added = {{"<s>"}};
  test::write_file(dir / "tokenizer.json", v.json().dump());
  test::write_file(dir / "tokenizer_config.json", R"({"bos_token":"<s>"})");
  const auto loaded = load_tokenizer(dir.path());
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ((*loaded)->bos_token(), 256);
  EXPECT_EQ((*loaded)->vocab_size(), 257);
  EXPECT_EQ((*loaded)->token_text(256), "<s>");
  EXPECT_EQ((*loaded)->token_id("<s>"), 256);
  EXPECT_EQ((*loaded)->token_id("no such token"), std::nullopt);
  EXPECT_EQ((*loaded)->token_text(-1), "");
  EXPECT_EQ((*loaded)->token_text(99'999), "");
  EXPECT_EQ((*loaded)->max_token_bytes(), 3u);
}

TEST(LoadTokenizer, SaysWhatIsMissing) {
  const test::TempDir dir;
  const auto none = load_tokenizer(dir.path());
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, ErrorCode::kBadModel);
  EXPECT_NE(none.error().message.find("no tokenizer.json"), std::string::npos);
  test::write_file(dir / "tokenizer.model", "x");
  EXPECT_NE(load_tokenizer(dir.path()).error().message.find("sentencepiece"), std::string::npos);
  test::write_file(dir / "tekken.json", "{}");
  EXPECT_NE(load_tokenizer(dir.path()).error().message.find("tekken.json"), std::string::npos);
  test::write_file(dir / "tokenizer.json", "{\"model\":");
  EXPECT_EQ(load_tokenizer(dir.path()).error().code, ErrorCode::kBadModel);
}

}  // namespace
}  // namespace mhub::text
