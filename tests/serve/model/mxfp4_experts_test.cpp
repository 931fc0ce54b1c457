// SPDX-License-Identifier: Apache-2.0
// gpt-oss with its experts in MXFP4 gives the logits of the same experts stored as floats.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "mhub/base/json.h"
#include "serve/model/loaded.h"
#include "support/safetensors_builder.h"
#include "support/temp_dir.h"

namespace mhub::model {
namespace {

constexpr int64_t kSize = 64, kExperts = 4, kBlocks = kSize / 32;

class Mxfp4Test : public testing::Test {
 protected:
  std::vector<float> random(int64_t count, float spread = 0.3f) {
    std::normal_distribution<float> normal(0, spread);
    std::vector<float> values(static_cast<size_t>(count));
    for (float& x : values) x = normal(rng_);
    return values;
  }
  void both(const std::string& name, const std::vector<int64_t>& shape) {
    int64_t count = 1;
    for (const int64_t side : shape) count *= side;
    const auto values = random(count);
    floats_.add_f32(name, shape, values);
    packed_.add_f32(name, shape, values);
  }
  // [experts, rows, 64]: packed as blocks by rows, or as floats [experts, 64, rows].
  void experts(const std::string& name, int64_t rows) {
    constexpr std::array<float, 8> kValues = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    std::string blocks, scales;
    std::vector<float> values(static_cast<size_t>(kExperts * rows * kSize));
    for (int64_t row = 0; row < kExperts * rows; ++row) {
      for (int64_t b = 0; b < kBlocks; ++b) {
        const int exponent = 122 + static_cast<int>(rng_() % 4);
        scales += static_cast<char>(exponent);
        for (int64_t pair = 0; pair < 16; ++pair) {
          const auto byte = static_cast<uint8_t>(rng_());
          blocks += static_cast<char>(byte);
          for (int64_t half = 0; half < 2; ++half) {
            const int code = byte >> (4 * half) & 15;
            const float value = std::ldexp(kValues[static_cast<size_t>(code & 7)], exponent - 127);
            const int64_t col = b * 32 + 2 * pair + half, expert = row / rows;
            values[static_cast<size_t>((expert * kSize + col) * rows + row % rows)] = code & 8 ? -value : value;
          }
        }
      }
    }
    floats_.add_f32(name, {kExperts, kSize, rows}, values);
    packed_.add(name + "_blocks", "U8", {kExperts, rows, kBlocks, 16}, blocks);
    packed_.add(name + "_scales", "U8", {kExperts, rows, kBlocks}, scales);
  }
  std::mt19937 rng_{6};
  test::SafetensorsBuilder floats_, packed_;
};

TEST_F(Mxfp4Test, SameLogitsAsFloats) {
  both("model.embed_tokens.weight", {96, kSize});
  both("model.norm.weight", {kSize});
  both("lm_head.weight", {96, kSize});
  const std::string layer = "model.layers.0.", attn = layer + "self_attn.", mlp = layer + "mlp.";
  both(layer + "input_layernorm.weight", {kSize});
  both(layer + "post_attention_layernorm.weight", {kSize});
  both(attn + "sinks", {4});
  for (const auto& [module, rows] : {std::pair("q_proj", 64), {"k_proj", 32}, {"v_proj", 32}, {"o_proj", 64}}) {
    both(attn + module + ".weight", {rows, kSize});
    both(attn + module + ".bias", {rows});
  }
  both(mlp + "router.weight", {kExperts, kSize});
  both(mlp + "router.bias", {kExperts});
  both(mlp + "experts.gate_up_proj_bias", {kExperts, 2 * kSize});
  both(mlp + "experts.down_proj_bias", {kExperts, kSize});
  experts(mlp + "experts.gate_up_proj", 2 * kSize);
  experts(mlp + "experts.down_proj", kSize);

  Json config = {{"architectures", {"GptOssForCausalLM"}},
                 {"hidden_size", kSize},
                 {"intermediate_size", kSize},
                 {"num_hidden_layers", 1},
                 {"num_attention_heads", 4},
                 {"num_key_value_heads", 2},
                 {"head_dim", 16},
                 {"vocab_size", 96},
                 {"max_position_embeddings", 128},
                 {"num_local_experts", kExperts},
                 {"num_experts_per_tok", 2}};
  test::TempDir plain, quantized;
  test::write_file(plain / "config.json", dump_json(config, 1));
  test::write_file(plain / "model.safetensors", floats_.build());
  config["quantization_config"] = {{"quant_method", "mxfp4"}};
  test::write_file(quantized / "config.json", dump_json(config, 1));
  test::write_file(quantized / "model.safetensors", packed_.build());
  const std::vector<int32_t> tokens = {1, 50, 90, 7, 7, 33, 3};
  const auto expected = all_logits(*load(float32_options(plain.path())), tokens);
  const auto got = all_logits(*load(float32_options(quantized.path())), tokens);
  for (size_t i = 0; i < expected.size(); ++i) {
    for (size_t j = 0; j < expected[i].size(); ++j) ASSERT_NEAR(got[i][j], expected[i][j], 1e-3) << i << "," << j;
  }
}

}  // namespace
}  // namespace mhub::model
