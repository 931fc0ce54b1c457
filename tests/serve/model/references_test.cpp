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

// Activations are rounded to BF16 where the CPU multiplies those. Not for experts: a router's near-tie may turn.
class DenseReferencesTest : public ReferencesTest {};

TEST_P(DenseReferencesTest, TheFastPathIsNear) {
  auto options = float32_options(dir());
  options.dtype = "auto";
  const auto model = load(options);
  EXPECT_LT(Reference(dir()).difference(*model), 0.05f);
}

std::string name_of(const testing::TestParamInfo<const char*>& family) {
  return family.param;
}
INSTANTIATE_TEST_SUITE_P(Families, ReferencesTest, testing::Values("llama", "qwen3", "qwen3_moe", "gemma3"), name_of);
INSTANTIATE_TEST_SUITE_P(Families, DenseReferencesTest, testing::Values("llama", "qwen3", "gemma3"), name_of);

}  // namespace
}  // namespace mhub::model
