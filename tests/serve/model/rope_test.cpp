// SPDX-License-Identifier: Apache-2.0
// Expected frequencies: the formulas of transformers' modeling_rope_utils in NumPy, float64.
#include "layers/rope.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mhub::model {
namespace {

formats::ModelConfig config_with(double theta, int64_t positions) {
  formats::ModelConfig config;
  config.architecture = "LlamaForCausalLM";
  config.head_dim = 16;
  config.rope_theta = theta;
  config.max_position_embeddings = positions;
  return config;
}

void expect_frequencies(const Result<RopeFrequencies>& rope, const std::vector<double>& expected) {
  ASSERT_TRUE(rope) << rope.error().one_line();
  ASSERT_EQ(rope->inv_freq.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(rope->inv_freq[i], expected[i], 1e-11 * expected[i]) << i;
}

TEST(Rope, Llama3) {
  auto config = config_with(500000.0, 2048);
  config.rope_scaling.rope_type = "llama3";
  config.rope_scaling.factor = 8;
  config.rope_scaling.original_max_position_embeddings = 128;
  const auto rope = rope_frequencies(config, 2048, {});
  expect_frequencies(rope, {1.0, 1.911264758165e-01, 4.700753866358e-03, 9.115830921521e-04, 1.767766952966e-04,
                            3.428102195953e-05, 6.647869871181e-06, 1.289173172152e-06});
  EXPECT_EQ(rope->attention_factor, 1.0);
}

TEST(Rope, Yarn) {
  auto config = config_with(1e6, 512);
  config.rope_scaling.rope_type = "yarn";
  config.rope_scaling.factor = 4;
  config.rope_scaling.original_max_position_embeddings = 128;
  auto rope = rope_frequencies(config, 512, {});
  expect_frequencies(rope, {1.0, 1.111424631274e-01, 7.905694150421e-03, 1.405853312976e-03, 2.5e-04,
                            4.445698525097e-05, 7.905694150421e-06, 1.405853312976e-06});
  EXPECT_NEAR(rope->attention_factor, 1.138629436111989, 1e-12);

  config.rope_scaling.truncate = false;
  config.rope_scaling.mscale = 0.7;
  config.rope_scaling.mscale_all_dim = 1.0;
  rope = rope_frequencies(config, 512, {});
  expect_frequencies(rope, {1.0, 1.014139481430e-01, 7.905694150421e-03, 1.405853312976e-03, 2.5e-04,
                            4.445698525097e-05, 7.905694150421e-06, 1.405853312976e-06});
  EXPECT_NEAR(rope->attention_factor, (0.07 * std::log(4.0) + 1) / (0.1 * std::log(4.0) + 1), 1e-12);

  config.rope_scaling.attention_factor = 1.5;
  EXPECT_EQ(rope_frequencies(config, 512, {})->attention_factor, 1.5);
}

TEST(Rope, DynamicIsFixedForTheLongestSequence) {
  auto config = config_with(1e4, 512);
  config.rope_scaling.rope_type = "dynamic";
  config.rope_scaling.factor = 4;
  expect_frequencies(rope_frequencies(config, 2048, {}),
                     {1.0, 2.192124598204e-01, 4.805410254052e-02, 1.053405802237e-02, 2.309196770975e-03,
                      5.062047043749e-04, 1.109663784187e-04, 2.432521277053e-05});
  const auto plain = config_with(1e4, 512);
  expect_frequencies(rope_frequencies(config, 512, {}), rope_frequencies(plain, 512, {})->inv_freq);
}

TEST(Rope, LinearAndDivisors) {
  auto config = config_with(1e4, 512);
  const auto plain = rope_frequencies(config, 512, {})->inv_freq;
  config.rope_scaling.rope_type = "linear";
  config.rope_scaling.factor = 2;
  std::vector<double> halved = plain, divided = plain;
  for (double& f : halved) f /= 2;
  expect_frequencies(rope_frequencies(config, 512, {}), halved);

  std::vector<float> divisors = {1, 1, 2, 3, 4, 8, 8, 8};
  for (size_t i = 0; i < divided.size(); ++i) divided[i] /= static_cast<double>(divisors[i]);
  config.rope_scaling.rope_type = "llama3";
  expect_frequencies(rope_frequencies(config, 512, divisors), divided);
  divisors.pop_back();
  EXPECT_FALSE(rope_frequencies(config, 512, divisors));
}

TEST(Rope, OtherTypesAreRefusedByName) {
  auto config = config_with(1e4, 512);
  config.rope_scaling.rope_type = "spiral";
  const auto rope = rope_frequencies(config, 512, {});
  ASSERT_FALSE(rope);
  EXPECT_EQ(rope.error().code, ErrorCode::kBadModel);
  EXPECT_NE(rope.error().message.find("spiral"), std::string::npos);
}

TEST(Rope, LongropeDividesByItsShortOrLongFactors) {
  auto config = config_with(1e4, 1024);
  config.head_dim = 4;
  config.rope_scaling.rope_type = "longrope";
  config.rope_scaling.original_max_position_embeddings = 256;
  config.rope_scaling.short_factor = {1.0, 2.0};
  config.rope_scaling.long_factor = {4.0, 8.0};
  const auto brief = rope_frequencies(config, 256, {}), extended = rope_frequencies(config, 257, {});
  ASSERT_TRUE(brief && extended);
  EXPECT_NEAR(brief->inv_freq[1], 0.01 / 2, 1e-12);
  EXPECT_NEAR(extended->inv_freq[0], 1.0 / 4, 1e-12);
  EXPECT_NEAR(extended->inv_freq[1], 0.01 / 8, 1e-12);
  const double stretched = std::sqrt(1 + std::log(4.0) / std::log(256.0));
  EXPECT_NEAR(brief->attention_factor, stretched, 1e-12);  // of the model, not of the list
  EXPECT_NEAR(extended->attention_factor, stretched, 1e-12);
  config.rope_scaling.attention_factor = 1.25;
  EXPECT_EQ(rope_frequencies(config, 256, {})->attention_factor, 1.25);
}

TEST(Rope, TableHoldsCosThenSin) {
  const auto table = rope_table({{1.0, 0.25}, 2.0}, 4);
  ASSERT_EQ(table.size(), 16u);
  EXPECT_EQ(table[0], 2.0f);
  EXPECT_EQ(table[2], 0.0f);
  EXPECT_NEAR(table[3 * 4 + 1], 2 * std::cos(0.75), 1e-6);
  EXPECT_NEAR(table[3 * 4 + 2], 2 * std::sin(3.0), 1e-6);
}

}  // namespace
}  // namespace mhub::model
