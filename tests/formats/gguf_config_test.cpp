// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "mhub/formats/model_config.h"
#include "support/gguf_builder.h"
#include "support/temp_dir.h"

namespace mhub::formats {
namespace {
using test::GgufBuilder;

// A llama model of the smallest size that passes.
GgufBuilder llama() {
  GgufBuilder b;
  b.text("general.architecture", "llama").u32("llama.block_count", 1).u32("llama.context_length", 1024);
  b.u32("llama.embedding_length", 16).u32("llama.feed_forward_length", 32).u32("llama.attention.head_count", 2);
  b.u32("llama.attention.head_count_kv", 1).f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  b.u32("llama.rope.dimension_count", 8).f32("llama.rope.freq_base", 100000.0f);
  b.texts("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "<|im_end|>"})
      .i32s("tokenizer.ggml.token_type", {2, 3, 3, 3});
  b.u32("tokenizer.ggml.bos_token_id", 1).u32("tokenizer.ggml.eos_token_id", 2);
  b.tensor_f32("token_embd.weight", {16, 6}, std::vector<float>(96, 0.5f));
  return b;
}

class GgufConfig : public ::testing::Test {
 protected:
  Result<ModelConfig> read(const GgufBuilder& b) {
    test::write_file(dir / "m.gguf", b.build());
    auto gguf = open_gguf(dir / "m.gguf");
    if (!gguf) return gguf.error();
    return model_config_from_gguf(*gguf);
  }
  void refused(const GgufBuilder& b, const std::string& what) {
    const auto config = read(b);
    ASSERT_FALSE(config) << "accepted, expected " << what;
    EXPECT_EQ(config.error().code, ErrorCode::kBadModel);
    EXPECT_NE(config.error().message.find(what), std::string::npos) << config.error().message << "\nexpected: " << what;
  }
  test::TempDir dir;
};

TEST_F(GgufConfig, ReadsLlama) {
  const auto c = read(llama());
  ASSERT_TRUE(c) << c.error().message;
  EXPECT_EQ(c->architecture, "LlamaForCausalLM");
  EXPECT_EQ(c->head_dim, 8);
  EXPECT_EQ(c->num_key_value_heads, 1);
  EXPECT_EQ(c->vocab_size, 6);  // padded rows count
  EXPECT_EQ(c->rope_theta, 100000.0);
  EXPECT_TRUE(c->tie_word_embeddings);
  EXPECT_FALSE(c->attention_bias);
  EXPECT_EQ(c->bos_token_id, 1);
  EXPECT_EQ(c->eos_token_ids, (std::vector<int64_t>{2, 3}));  // and the control token that is a known terminator
  GgufBuilder untied = llama();
  untied.tensor_f32("output.weight", {16, 6}, std::vector<float>(96))
      .tensor_f32("blk.0.attn_q.bias", {16}, std::vector<float>(16));
  EXPECT_FALSE(read(untied)->tie_word_embeddings);
  EXPECT_TRUE(read(untied)->attention_bias);
}

TEST_F(GgufConfig, OtherArchitecturesAreNamed) {
  GgufBuilder b = llama();
  refused(b.remove("general.architecture").text("general.architecture", "mamba"), "\"mamba\" is not supported");
  const auto hint = read(b).error().hint;
  EXPECT_NE(hint.find("llama, qwen2, qwen3, gemma2"), std::string::npos) << hint;
  refused(b.remove("general.architecture"), "general.architecture: missing");
  refused(llama().text("general.type", "adapter"), "general.type: \"adapter\" is not a model");
  refused(llama().u32("llama.expert_count", 8), "llama.expert_used_count: missing");
}

TEST_F(GgufConfig, EveryHyperParameterIsChecked) {  // G07
  for (const char* key : {"block_count", "context_length", "embedding_length", "feed_forward_length",
                          "attention.head_count", "attention.head_count_kv"}) {
    const std::string full = std::string("llama.") + key;
    for (const uint32_t bad : {0u, 0xFFFFFFFFu, 0x7FFFFFFFu}) {
      SCOPED_TRACE(full + " = " + std::to_string(bad));
      refused(llama().remove(full).u32(full, bad), full);
    }
    refused(llama().remove(full).f32(full, 2.0f), full + ": not an integer");
    refused(llama().remove(full).raw(full, GgufBuilder::kI64, GgufBuilder::le(static_cast<uint64_t>(-1), 8)), full);
    if (std::string(key) != "attention.head_count_kv") refused(llama().remove(full), full + ": missing");
  }
  for (const float bad : {0.0f, -1.0f, NAN, INFINITY, 1e9f}) {
    refused(llama().remove("llama.attention.layer_norm_rms_epsilon").f32("llama.attention.layer_norm_rms_epsilon", bad),
            "layer_norm_rms_epsilon");
  }
  for (const float bad : {0.0f, -1.0f, NAN, INFINITY})
    refused(llama().remove("llama.rope.freq_base").f32("llama.rope.freq_base", bad), "rope.freq_base");
  refused(llama().remove("llama.rope.dimension_count").u32("llama.rope.dimension_count", 10),
          "llama.rope.dimension_count: 10 is not from 2 to 8");
  refused(llama().remove("llama.rope.dimension_count").u32("llama.rope.dimension_count", 3), "rotates 3 values");
  refused(llama().remove("llama.attention.head_count_kv").u32("llama.attention.head_count_kv", 3),
          "not a multiple of 3");
  refused(llama().u32("llama.vocab_size", 7), "llama.vocab_size: 7, but token_embd.weight has 6 rows");
  refused(llama().u32("llama.attention.key_length", 8).u32("llama.attention.value_length", 16),
          "value_length: 16 differs");
  refused(llama().remove("tokenizer.ggml.eos_token_id").u32("tokenizer.ggml.eos_token_id", 6),
          "eos_token_id: 6 is not from 0 to 5");
  refused(llama().remove("tokenizer.ggml.token_type").i32s("tokenizer.ggml.token_type", {1}),
          "token_type: 1 entries for 4 tokens");
  refused(llama().remove("tokenizer.ggml.tokens").texts("tokenizer.ggml.tokens", std::vector<std::string>(7, "x")),
          "7 tokens, but");
}

TEST_F(GgufConfig, PerLayerArrays) {
  GgufBuilder b = llama().remove("llama.attention.head_count_kv").i32s("llama.attention.head_count_kv", {1, 1});
  EXPECT_EQ(read(b)->num_key_value_heads, 1);
  b.remove("llama.attention.head_count_kv").i32s("llama.attention.head_count_kv", {1, 2});
  refused(b, "differs by layer");
  b.remove("llama.attention.head_count_kv").i32s("llama.attention.head_count_kv", {});
  refused(b, "empty array");
}

TEST_F(GgufConfig, RopeScaling) {
  EXPECT_EQ(read(llama().text("llama.rope.scaling.type", "linear").f32("llama.rope.scaling.factor", 2))
                ->rope_scaling.rope_type,
            "linear");
  EXPECT_EQ(
      read(llama().text("llama.rope.scaling.type", "none").f32("llama.rope.scaling.factor", 2))->rope_scaling.rope_type,
      "default");
  const auto yarn = read(llama()
                             .text("llama.rope.scaling.type", "yarn")
                             .f32("llama.rope.scaling.factor", 4)
                             .u32("llama.rope.scaling.original_context_length", 256));
  ASSERT_TRUE(yarn) << yarn.error().message;
  EXPECT_EQ(yarn->rope_scaling.original_max_position_embeddings, 256);
  refused(llama().text("llama.rope.scaling.type", "yarn"), "rope.scaling.factor: missing");
  refused(llama().text("llama.rope.scaling.type", "spiral"), "\"spiral\" is not supported");
  GgufBuilder longrope = llama();
  longrope.u32("llama.rope.scaling.original_context_length", 128).f32("llama.rope.scaling.attn_factor", 1.5f);
  longrope.tensor_f32("rope_factors_long.weight", {4}, std::vector<float>(4, 4.0f));
  refused(longrope, "rope_factors_short.weight is missing");
  longrope.tensor_f32("rope_factors_short.weight", {4}, std::vector<float>(4, 2.0f));
  const auto stretched = read(longrope);
  ASSERT_TRUE(stretched) << stretched.error().message;
  EXPECT_EQ(stretched->rope_scaling.rope_type, "longrope");
  EXPECT_EQ(stretched->rope_scaling.long_factor, std::vector<double>(4, 4.0));
  EXPECT_EQ(stretched->rope_scaling.attention_factor, 1.5);
}

TEST_F(GgufConfig, ExpertsOfALlamaFileAreMixtrals) {
  GgufBuilder b = llama();
  const auto config = read(b.u32("llama.expert_count", 8).u32("llama.expert_used_count", 2));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->architecture, "MixtralForCausalLM");
  EXPECT_EQ(config->experts.num_experts, 8);
  EXPECT_EQ(config->experts.intermediate_size, config->intermediate_size);
  EXPECT_TRUE(config->experts.norm_topk_prob);
  EXPECT_TRUE(config->sparse(0));
  refused(b.u32("llama.expert_group_count", 3), "do not fit");
}

TEST_F(GgufConfig, Llama3ScalingIsRecoveredFromItsDivisors) {
  // Head of 8 values, base 1e5, factor 8, low 1, high 4, original 512: the divisors by the published formula.
  std::vector<float> divisors;
  for (int i = 0; i < 4; ++i) {
    const double wavelength = 2 * M_PI * std::pow(100000.0, 2.0 * i / 8);
    const double smooth = (512 / wavelength - 1) / 3;
    divisors.push_back(static_cast<float>(wavelength < 128   ? 1
                                          : wavelength > 512 ? 8
                                                             : 1 / ((1 - smooth) / 8 + smooth)));
  }
  const auto c = read(llama().tensor_f32("rope_freqs.weight", {4}, divisors));
  ASSERT_TRUE(c) << c.error().message;
  EXPECT_EQ(c->rope_scaling.rope_type, "llama3");
  EXPECT_EQ(c->rope_scaling.factor, 8);
  EXPECT_EQ(read(llama().tensor_f32("rope_freqs.weight", {4}, {1, 1, 1, 1}))->rope_scaling.rope_type, "default");
  refused(llama().tensor_f32("rope_freqs.weight", {4}, {3, 1, 2, 7}), "no llama3 scaling");
  refused(llama().tensor_f32("rope_freqs.weight", {3}, {1, 1, 1}), "rope_freqs.weight is not F32 [4]");
}

}  // namespace
}  // namespace mhub::formats
