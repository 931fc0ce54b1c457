// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "mhub/base/json.h"
#include "serve/model/loaded.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace mhub::model {
namespace {

class DummyTest : public testing::Test {
 protected:
  std::unique_ptr<LoadedModel> load_dummy(const Json& config, uint64_t seed) {
    test::write_file(dir_ / "config.json", dump_json(config));
    auto options = float32_options(dir_.path());
    options.load_format = LoadFormat::kDummy;
    options.seed = seed;
    return load(options);
  }
  test::TempDir dir_;
};

TEST_F(DummyTest, NeedsOnlyTheConfigAndFollowsTheSeed) {
  const Json config = Json::parse(test::tiny_config_json({}));
  const std::vector<int32_t> tokens = {1, 2, 3, 4};
  auto one = load_dummy(config, 1);
  const auto logits = all_logits(*one, tokens);
  EXPECT_EQ(logits, all_logits(*load_dummy(config, 1), tokens));
  EXPECT_NE(logits, all_logits(*load_dummy(config, 2), tokens));
  for (const float x : logits.back()) EXPECT_TRUE(std::isfinite(x));
  // embedding and head 2 x 288 x 64; per layer q,o 2 x 64 x 64, k,v 2 x 32 x 64, mlp 3 x 96 x 64, norms 2 x 64; norm 64
  EXPECT_EQ(one->plan().weights_bytes, 4u * (2 * 288 * 64 + 2 * (2 * 4096 + 2 * 2048 + 3 * 6144 + 128) + 64));
}

TEST_F(DummyTest, QuantizedConfigGivesQuantizedBytes) {
  Json config = Json::parse(test::tiny_config_json({}));
  config["quantization_config"] =
      Json::parse(R"({"quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": ["lm_head"],
        "config_groups": {"group_0": {"targets": ["Linear"],
          "weights": {"num_bits": 4, "type": "int", "symmetric": true, "strategy": "group", "group_size": 32}}}})");
  auto model = load_dummy(config, 1);
  const uint64_t linear = 2 * (2 * 4096 + 2 * 2048 + 3 * 6144);
  EXPECT_EQ(model->plan().weights_bytes, linear / 2 + linear / 32 * 4 + 4u * (2 * 288 * 64 + 2 * 128 + 64));
  const std::vector<int32_t> tokens = {1, 2};
  const auto logits = all_logits(*model, tokens);
  for (const float x : logits.back()) EXPECT_TRUE(std::isfinite(x));
}

}  // namespace
}  // namespace mhub::model
