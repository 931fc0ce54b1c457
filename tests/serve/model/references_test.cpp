// SPDX-License-Identifier: Apache-2.0
// Tiny models with the results of an independent implementation (tests/data/references/generate.py).
#include "reference_files.h"

namespace mhub::model {
namespace {

class ReferencesTest : public testing::TestWithParam<const char*> {
 protected:
  std::filesystem::path dir() const {
    return std::filesystem::path(MHUB_SOURCE_DIR) / "tests/data/references" / GetParam();
  }
};

TEST_P(ReferencesTest, Float32IsTheirs) {
  const auto model = load(float32_options(dir()));
  const Reference reference(dir());
  EXPECT_LT(reference.difference(*model), 2e-6f);
  EXPECT_EQ(reference.continued(*model, reference.input_ids.size()), reference.greedy);
}

// Activations are rounded to BF16 where the CPU multiplies those.
TEST_P(ReferencesTest, TheFastPathIsNear) {
  auto options = float32_options(dir());
  options.dtype = "auto";
  const auto model = load(options);
  EXPECT_LT(Reference(dir()).difference(*model), 0.05f);
}

INSTANTIATE_TEST_SUITE_P(Families, ReferencesTest, testing::Values("llama", "qwen3", "qwen3_moe", "gemma3"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace mhub::model
