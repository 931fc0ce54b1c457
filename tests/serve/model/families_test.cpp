// SPDX-License-Identifier: Apache-2.0
// Every architecture from a configuration alone, with dummy weights: it loads, its logits are finite, and how a prompt
// is cut into steps does not change its tokens. And the page that lists them.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "architectures.h"
#include "models_page.h"
#include "serve/model/loaded.h"
#include "support/family_config.h"
#include "support/temp_dir.h"

namespace mhub::model {
namespace {

class FamilyTest : public testing::TestWithParam<std::string> {};

TEST_P(FamilyTest, StepsDoNotChangeTheTokens) {
  test::TempDir dir;
  test::write_file(dir / "config.json", dump_json(test::family_config(GetParam()), 1));
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
