// SPDX-License-Identifier: Apache-2.0
// Every architecture from a configuration alone, with dummy weights: it loads, its logits are finite, and how a prompt
// is cut into steps does not change its tokens. And the page that lists them.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "architectures.h"
#include "mhub/base/json.h"
#include "models_page.h"
#include "serve/model/loaded.h"
#include "support/temp_dir.h"

namespace mhub::model {
namespace {

class FamilyTest : public testing::TestWithParam<std::string> {
 protected:
  static Json config(const std::string& architecture) {
    Json json = {{"architectures", {architecture}},
                 {"hidden_size", 64},
                 {"intermediate_size", 96},
                 {"num_hidden_layers", 7},
                 {"num_attention_heads", 4},
                 {"num_key_value_heads", 2},
                 {"head_dim", 16},
                 {"vocab_size", 256},
                 {"bos_token_id", 1},
                 {"eos_token_id", 2},
                 {"max_position_embeddings", 512},
                 {"sliding_window", 24},
                 {"moe_intermediate_size", 48},
                 {"num_experts_per_tok", 2},
                 {"torch_dtype", "float32"}};
    if (architecture.starts_with("Qwen")) json["use_sliding_window"] = true;
    if (architecture.starts_with("Deepseek")) {
      json.update({{"n_routed_experts", 8}, {"first_k_dense_replace", 1}, {"kv_lora_rank", 32}, {"q_lora_rank", 24}});
      json.update({{"qk_nope_head_dim", 16}, {"qk_rope_head_dim", 8}, {"v_head_dim", 12}, {"n_group", 4}});
      json.update({{"topk_group", 2}, {"n_shared_experts", 1}});
    } else if (architecture.find("Moe") != std::string::npos) {
      json.update({{"num_experts", 8}, {"shared_expert_intermediate_size", 32}});
    } else {
      json["num_local_experts"] = 8;
    }
    return json;
  }
};

TEST_P(FamilyTest, StepsDoNotChangeTheTokens) {
  test::TempDir dir;
  test::write_file(dir / "config.json", dump_json(config(GetParam()), 1));
  RunnerOptions options = float32_options(dir.path());
  options.load_format = LoadFormat::kDummy;
  const auto model = load(options);
  EXPECT_GT(model->plan().weights_bytes, 0u);
  std::vector<int32_t> prompt;
  for (int32_t i = 0; i < 61; ++i) prompt.push_back((i * 37 + 11) % 250);
  for (const auto& row : all_logits(*model, prompt)) {
    for (const float x : row) ASSERT_TRUE(std::isfinite(x));
  }
  std::vector<int32_t> whole;
  for (const int32_t chunk : {1 << 20, 7, 1}) {
    Sequence sequence;
    sequence.prompt = prompt;
    sequence.params = greedy_params();
    sequence.blocks = block_table(*model, 80, chunk == 7 ? 10 : 0);
    const auto tokens = generate(*model, sequence, 12, chunk);
    if (whole.empty()) whole = tokens;
    EXPECT_EQ(tokens, whole) << "chunk " << chunk;
  }
}

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const Architecture& architecture : architectures()) out.emplace_back(architecture.name);
  return out;
}
INSTANTIATE_TEST_SUITE_P(All, FamilyTest, testing::ValuesIn(names()), [](const auto& p) { return p.param; });

TEST(ModelsPage, IsWhatTheCodeSays) {
  const std::filesystem::path page = std::filesystem::path(MHUB_SOURCE_DIR) / "docs" / "models.md";
  if (std::getenv("MHUB_UPDATE_DOCS")) test::write_file(page, models_page());
  EXPECT_EQ(test::read_file(page), models_page()) << "run this test with MHUB_UPDATE_DOCS=1";
}

}  // namespace
}  // namespace mhub::model
