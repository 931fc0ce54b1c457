// SPDX-License-Identifier: Apache-2.0
// Gemma 3 270M, Q4_K_M GGUF, against its reference results, where this machine has both.
#include <cmath>

#include "loaded.h"
#include "mhub/base/json.h"
#include "mhub/formats/safetensors.h"
#include "mhub/formats/tensor_table.h"
#include "support/shared_dir.h"
#include "support/temp_dir.h"

namespace mhub::model {
namespace {
namespace fs = std::filesystem;

class Gemma3Test : public testing::Test {
 protected:
  void SetUp() override {
    const auto shared = test::shared_dir();
    const auto file = test::real_model("MHUB_GEMMA3_GGUF");
    if (!shared || !file) GTEST_SKIP() << "no MHUB_SHARED_DIR or MHUB_GEMMA3_GGUF";
    const fs::path dir = *shared / "models" / "gemma3-270m";
    reference_ = Json::parse(test::read_file(dir / "reference.json"));
    RunnerOptions options = float32_options(*file);
    options.max_model_len = 2048;
    options.max_num_batched_tokens = 512;
    model_ = load(options);
  }
  Json reference_;
  std::unique_ptr<LoadedModel> model_;
};

// Teacher forced: each greedy token is the likeliest, up to the gaps that the reference itself calls near-ties.
TEST_F(Gemma3Test, GreedyAndTopFive) {
  double worst = 0;
  int wrong = 0, steps = 0;
  for (const auto& item : reference_["prompts"]["cases"]) {
    auto tokens = item["ids"].get<std::vector<int32_t>>();
    const auto greedy = item["greedy"].get<std::vector<int32_t>>();
    const auto first = static_cast<int64_t>(tokens.size()) - 1;
    tokens.insert(tokens.end(), greedy.begin(), greedy.end() - 1);
    model_->forward_logits(tokens, [&](int64_t position, std::span<const float> logits) {
      if (position < first) return;
      const auto step = static_cast<size_t>(position - first);
      const auto best = std::max_element(logits.begin(), logits.end());
      double sum = 0;
      for (const float x : logits) sum += std::exp(static_cast<double>(x - *best));
      for (const auto& pair : item["top5"][step]) {
        const double ours = static_cast<double>(logits[pair[0].get<size_t>()] - *best) - std::log(sum);
        worst = std::max(worst, std::abs(ours - pair[1].get<double>()));
      }
      wrong += best - logits.begin() != greedy[step];
      ++steps;
    });
  }
  std::printf("%d of %d greedy steps differ, worst difference of a top-5 logprob %.6f\n", wrong, steps, worst);
  EXPECT_EQ(wrong, 0);
  EXPECT_LT(worst, 2e-3);
}

}  // namespace
}  // namespace mhub::model
