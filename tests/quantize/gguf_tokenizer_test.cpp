// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "mhub/base/json.h"
#include "mhub/quantize/quantize.h"
#include "mhub/text/tokenizer.h"
#include "support/temp_dir.h"
#include "support/tiny_llama.h"

namespace mhub::quantize {
namespace {

class GgufTokenizer : public ::testing::Test {
 protected:
  Result<WriteReport> quantize(const test::GgufBuilder& builder) {
    test::write_file(dir / "m.gguf", builder.build());
    std::filesystem::remove_all(dir / "out");
    return write_quantized(dir / "m.gguf", dir / "out", {.bits = 4, .group_size = 32}, {});
  }
  test::TinyLlama model;
  test::TempDir dir;
};

// The written tokenizer.json and the vocabulary it came from give the same ids.
TEST_F(GgufTokenizer, SameIdsAsTheVocabulary) {
  for (const char* pre : {"gpt-2", "smollm", "llama-bpe", "qwen2"}) {
    SCOPED_TRACE(pre);
    const auto report = quantize(model.gguf(pre));
    ASSERT_TRUE(report) << report.error().message;
    const auto gguf = formats::open_gguf(dir / "m.gguf");
    const auto a = text::tokenizer_from_gguf(*gguf);
    const auto b = text::load_tokenizer(dir / "out");
    ASSERT_TRUE(a) << a.error().message;
    ASSERT_TRUE(b) << b.error().message;
    for (const char* text : {"the cat  on 1234 mats", "a<|end|>b the", "thththe'll GO", "   x", "th3 7he 12"}) {
      for (const bool special : {false, true}) {
        EXPECT_EQ((*a)->encode(text, special, text::SpecialTokens::kParse),
                  (*b)->encode(text, special, text::SpecialTokens::kParse))
            << text;
        EXPECT_EQ((*a)->encode(text, special, text::SpecialTokens::kAsText),
                  (*b)->encode(text, special, text::SpecialTokens::kAsText))
            << text;
      }
    }
    EXPECT_EQ((*a)->eos_token(), (*b)->eos_token());
  }
}

TEST_F(GgufTokenizer, ConfigHasTemplateAndSpecialTokens) {
  ASSERT_TRUE(quantize(model.gguf()));
  auto config = Json::parse(test::read_file(dir / "out" / "tokenizer_config.json"));
  EXPECT_EQ(config["chat_template"], "{{ messages }}");
  EXPECT_EQ(config["eos_token"], "<|end|>");
  EXPECT_EQ(config["model_max_length"], 256);
  ASSERT_TRUE(quantize(model.gguf().text("tokenizer.chat_template.tool_use", "T")));
  config = Json::parse(test::read_file(dir / "out" / "tokenizer_config.json"));
  EXPECT_EQ(config["chat_template"],
            Json::parse(R"([{"name":"default","template":"{{ messages }}"},{"name":"tool_use","template":"T"}])"));
  const auto tokenizer = Json::parse(test::read_file(dir / "out" / "tokenizer.json"));
  EXPECT_FALSE(tokenizer["model"]["vocab"].contains("[PAD95]"));  // unused rows stay out
  EXPECT_EQ(tokenizer["added_tokens"].size(), 1u);
}

TEST_F(GgufTokenizer, WhatCannotBeWrittenIsRefused) {
  const auto refused = [&](const test::GgufBuilder& builder, const std::string& what) {
    const auto report = quantize(builder);
    ASSERT_FALSE(report) << "accepted, expected " << what;
    EXPECT_EQ(report.error().code, ErrorCode::kBadModel);
    EXPECT_NE(report.error().message.find(what), std::string::npos) << report.error().message;
    EXPECT_FALSE(std::filesystem::exists(dir / "out"));
  };
  refused(model.gguf("some-new-regex"), "pre-tokenizer \"some-new-regex\" is not known");
  refused(model.gguf().remove("tokenizer.ggml.model").text("tokenizer.ggml.model", "llama"),
          "tokenizer.ggml.model \"llama\" is not supported");
  refused(model.gguf().remove("tokenizer.ggml.merges"), "merges is missing");
  for (const char* bad : {"th", "t h e", " h", "t "}) {
    refused(model.gguf().remove("tokenizer.ggml.merges").texts("tokenizer.ggml.merges", {bad}), "is not two pieces");
  }
  refused(model.gguf()
              .remove("tokenizer.ggml.tokens")
              .remove("tokenizer.ggml.token_type")
              .texts("tokenizer.ggml.tokens", {"a", "a"}),
          "is empty or a repetition");
}

}  // namespace
}  // namespace mhub::quantize
