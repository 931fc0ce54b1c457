// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "byte_alphabet.h"
#include "mhub/text/tokenizer.h"
#include "support/gguf_builder.h"
#include "support/temp_dir.h"

namespace mhub::text {
namespace {

using Ids = std::vector<TokenId>;

// Bytes 0..255, "ab" (256), "<|im_end|>" (257, control), "<tool>" (258, user-defined), "[PAD259]" (259, unused).
test::GgufBuilder vocabulary(const std::string& pre) {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(to_byte_alphabet(std::string(1, static_cast<char>(byte))));
  types.assign(256, 1);
  for (const auto& [text, type] :
       std::vector<std::pair<std::string, int>>{{"ab", 1}, {"<|im_end|>", 3}, {"<tool>", 4}, {"[PAD259]", 5}}) {
    tokens.push_back(text);
    types.push_back(type);
  }
  test::GgufBuilder b;
  b.text("general.architecture", "llama").text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", pre);
  b.texts("tokenizer.ggml.tokens", tokens).i32s("tokenizer.ggml.token_type", types);
  b.texts("tokenizer.ggml.merges", {"a b"}).u32("tokenizer.ggml.bos_token_id", 257);
  b.u32("tokenizer.ggml.eos_token_id", 257);
  return b;
}

Result<std::shared_ptr<const Tokenizer>> load(const test::GgufBuilder& builder) {
  const test::TempDir dir;
  test::write_file(dir / "m.gguf", builder.build());
  auto gguf = formats::open_gguf(dir / "m.gguf");
  EXPECT_TRUE(gguf.has_value()) << (gguf ? "" : gguf.error().one_line());
  return tokenizer_from_gguf(*gguf);  // the file is gone when the tokenizer is used
}

TEST(TokenizerGguf, EncodesWithThePatternOfItsPreName) {
  const auto smollm = load(vocabulary("smollm"));
  ASSERT_TRUE(smollm.has_value()) << smollm.error().one_line();
  EXPECT_EQ((*smollm)->encode("ab12<|im_end|>", true, SpecialTokens::kParse), (Ids{256, '1', '2', 257}));
  EXPECT_EQ((*smollm)->vocab_size(), 260);
  EXPECT_EQ((*smollm)->eos_token(), 257);
}

TEST(TokenizerGguf, TokenTypesSayWhatTextMatches) {
  const auto tokenizer = load(vocabulary("qwen2"));
  ASSERT_TRUE(tokenizer.has_value());
  EXPECT_EQ((*tokenizer)->encode("<tool>", false, SpecialTokens::kAsText), (Ids{258}));
  EXPECT_EQ((*tokenizer)->encode("<|im_end|>", false, SpecialTokens::kAsText).size(), 10u);
  EXPECT_EQ((*tokenizer)->encode("[PAD259]", false, SpecialTokens::kParse).size(), 8u);
  EXPECT_TRUE((*tokenizer)->is_special(257));
  EXPECT_FALSE((*tokenizer)->is_special(258));
  EXPECT_EQ((*tokenizer)->encode("e\u0301", false, SpecialTokens::kParse), (Ids{0xC3, 0xA9})) << "NFC";
}

TEST(TokenizerGguf, BosFollowsTheKeyAndElseThePreName) {
  auto builder = vocabulary("llama-bpe");
  EXPECT_EQ((*load(builder))->encode("ab", true, SpecialTokens::kParse), (Ids{257, 256}));
  builder.boolean("tokenizer.ggml.add_bos_token", false);
  EXPECT_EQ((*load(builder))->encode("ab", true, SpecialTokens::kParse), (Ids{256}));
  auto qwen = vocabulary("qwen2");
  EXPECT_EQ((*load(qwen))->encode("ab", true, SpecialTokens::kParse), (Ids{256}));
}

TEST(TokenizerGguf, WhatIsNotSupportedIsNamed) {
  const auto unknown_pre = load(vocabulary("weird-pre"));
  ASSERT_FALSE(unknown_pre.has_value());
  EXPECT_EQ(unknown_pre.error().code, ErrorCode::kBadModel);
  EXPECT_NE(unknown_pre.error().message.find("weird-pre"), std::string::npos);
  auto builder = vocabulary("qwen2");
  builder.remove("tokenizer.ggml.pre");
  EXPECT_NE(load(builder).error().message.find("tokenizer.ggml.pre"), std::string::npos);
  builder.remove("tokenizer.ggml.model");
  builder.text("tokenizer.ggml.model", "rwkv");
  EXPECT_NE(load(builder).error().message.find("rwkv"), std::string::npos);
}

TEST(TokenizerGguf, DamageIsRefused) {
  auto types = vocabulary("qwen2");
  types.remove("tokenizer.ggml.token_type").i32s("tokenizer.ggml.token_type", {1, 2});
  EXPECT_FALSE(load(types).has_value());
  auto eos = vocabulary("qwen2");
  eos.remove("tokenizer.ggml.eos_token_id").u32("tokenizer.ggml.eos_token_id", 260);
  EXPECT_NE(load(eos).error().message.find("eos_token_id"), std::string::npos);
  auto merges = vocabulary("qwen2");
  merges.remove("tokenizer.ggml.merges").texts("tokenizer.ggml.merges", {"a nope"});
  EXPECT_NE(load(merges).error().message.find("nope"), std::string::npos);
  auto tokens = vocabulary("qwen2");
  tokens.remove("tokenizer.ggml.tokens");
  EXPECT_FALSE(load(tokens).has_value());
}

}  // namespace
}  // namespace mhub::text
