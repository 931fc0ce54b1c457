// SPDX-License-Identifier: Apache-2.0
// The whole model in float32 against a double-precision forward pass that shares no code with it.
#include <gtest/gtest.h>

#include <cmath>

#include "layers/rope.h"
#include "serve/model/loaded.h"
#include "support/reference_model.h"
#include "support/temp_dir.h"

namespace mhub::model {
namespace {

std::vector<int32_t> some_tokens(size_t count, uint32_t seed = 7) {
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    tokens.push_back(static_cast<int32_t>((seed >> 12) % 259));
  }
  return tokens;
}

void expect_close(const std::vector<std::vector<float>>& ours, const std::vector<std::vector<double>>& expected) {
  ASSERT_EQ(ours.size(), expected.size());
  double largest = 0, worst = 0;
  for (size_t t = 0; t < ours.size(); ++t) {
    ASSERT_EQ(ours[t].size(), expected[t].size());
    for (size_t i = 0; i < ours[t].size(); ++i) {
      largest = std::max(largest, std::abs(expected[t][i]));
      worst = std::max(worst, std::abs(static_cast<double>(ours[t][i]) - expected[t][i]));
    }
  }
  EXPECT_GT(largest, 0.1);
  EXPECT_LT(worst, 1e-4 * largest);
}

struct Case {
  std::string name;
  test::TinyModelOptions options;
};
std::vector<Case> cases() {
  std::vector<Case> all(7);
  all[0].name = "llama";
  all[1].name = "llama_tied_bf16";
  all[1].options.tie_word_embeddings = true;
  all[1].options.dtype = "BF16";
  all[2].name = "llama_biases";
  all[2].options.attention_bias = all[2].options.mlp_bias = true;
  all[3].name = "llama_wide_heads";
  all[3].options.head_dim = 24;
  all[3].options.num_key_value_heads = 4;
  all[4].name = "mistral";
  all[4].options.architecture = "MistralForCausalLM";
  all[4].options.num_key_value_heads = 1;
  all[5].name = "qwen2";
  all[5].options.architecture = "Qwen2ForCausalLM";
  all[5].options.rope_theta = 1e6;
  all[6].name = "qwen2_tied";
  all[6].options.architecture = "Qwen2ForCausalLM";
  all[6].options.tie_word_embeddings = true;
  all[6].options.num_hidden_layers = 3;
  return all;
}

class ForwardTest : public testing::TestWithParam<Case> {};

TEST_P(ForwardTest, EqualsTheReference) {
  const auto& options = GetParam().options;
  test::TempDir dir;
  test::write_tiny_model(dir.path(), options);
  const auto tokens = some_tokens(70);
  auto run_options = float32_options(dir.path());
  run_options.max_num_batched_tokens = 32;  // three chunks
  auto model = load(run_options);
  expect_close(all_logits(*model, tokens), test::reference_logits(options, test::tiny_tensors(options), tokens));
}
INSTANTIATE_TEST_SUITE_P(Families, ForwardTest, testing::ValuesIn(cases()),
                         [](const auto& param) { return param.param.name; });

TEST(Forward, ScaledRope) {
  test::TinyModelOptions options;
  options.rope_scaling =
      R"({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "attention_factor": 1.3})";
  test::TempDir dir;
  test::write_tiny_model(dir.path(), options);
  auto model = load(float32_options(dir.path()));
  const auto rope = rope_frequencies(model->config(), model->max_model_len(), {});
  ASSERT_TRUE(rope);
  EXPECT_EQ(rope->attention_factor, 1.3);
  const auto tokens = some_tokens(90);
  expect_close(all_logits(*model, tokens), test::reference_logits(options, test::tiny_tensors(options), tokens,
                                                                  rope->inv_freq, rope->attention_factor));
}

TEST(Forward, FastPathAgreesOnTheLikeliestTokens) {
  test::TinyModelOptions options;
  options.dtype = "BF16";
  test::TempDir dir;
  test::write_tiny_model(dir.path(), options);
  auto run_options = float32_options(dir.path());
  run_options.dtype = "auto";
  auto model = load(run_options);
  const auto tokens = some_tokens(60);
  const auto ours = all_logits(*model, tokens);
  const auto expected = test::reference_logits(options, test::tiny_tensors(options), tokens);
  double squares = 0, error = 0;
  for (size_t t = 0; t < tokens.size(); ++t) {
    for (size_t i = 0; i < ours[t].size(); ++i) {
      squares += expected[t][i] * expected[t][i];
      error += std::pow(static_cast<double>(ours[t][i]) - expected[t][i], 2);
    }
  }
  EXPECT_LT(std::sqrt(error / squares), 0.03);
}

}  // namespace
}  // namespace mhub::model
