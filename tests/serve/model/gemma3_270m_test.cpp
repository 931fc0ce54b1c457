// SPDX-License-Identifier: Apache-2.0
// Gemma 3 270M, Q4_K_M GGUF, against its reference results, where this machine has both.
#include <cmath>

#include "loaded.h"
#include "mhub/base/json.h"
#include "mhub/formats/safetensors.h"
#include "mhub/formats/tensor_table.h"
#include "serve/model/perplexity.h"
#include "support/shared_dir.h"
#include "support/temp_dir.h"

namespace mhub::model {
namespace {
namespace fs = std::filesystem;

// By --dtype.
class Gemma3Test : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto shared = test::shared_dir();
    const auto file = test::real_model("MHUB_GEMMA3_GGUF");
    if (!shared || !file) GTEST_SKIP() << "no MHUB_SHARED_DIR or MHUB_GEMMA3_GGUF";
    const fs::path dir = *shared / "models" / "gemma3-270m";
    reference_ = Json::parse(test::read_file(dir / "reference.json"));
    RunnerOptions options = float32_options(*file);
    options.dtype = GetParam();
    options.max_model_len = 2048;
    options.max_num_batched_tokens = 512;
    model_ = load(options);
  }
  bool float32() const { return std::string_view(GetParam()) == "float32"; }
  Json reference_;
  std::unique_ptr<LoadedModel> model_;
};

// Teacher forced: each greedy token is the likeliest, up to the gaps that the reference itself calls near-ties.
TEST_P(Gemma3Test, GreedyAndTopFive) {
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
  std::printf("%s: %d of %d greedy steps differ, worst difference of a top-5 logprob %.6f\n", GetParam(), wrong, steps,
              worst);
  EXPECT_LE(wrong, float32() ? 0 : steps / 20);
  EXPECT_LT(worst, float32() ? 2e-3 : 1.5);
}

// Behind BOS, as the model was trained, on as many windows as the reference has divergences for; and without.
TEST_P(Gemma3Test, PerplexityAndDivergence) {
  const Json& reference = reference_["perplexity"];
  const auto bos = reference_["tokenizer"]["bos_id"].get<int32_t>();
  const TextMeasure m = measure_text(*model_, reference, reference["kl"].size(), {bos});
  std::printf("%s: perplexity %.6f (reference %.6f), mean KL %.7f, worst %.6f, same top token %zu of %zu\n", GetParam(),
              m.perplexity(), m.reference_perplexity(), m.mean_divergence(), m.worst, m.same_top, m.compared);
  EXPECT_NEAR(m.perplexity(), m.reference_perplexity(), (float32() ? 2e-4 : 0.01) * m.reference_perplexity());
  EXPECT_LT(m.mean_divergence(), float32() ? 1e-6 : 0.0041);  // llama.cpp with 8-bit activations: 0.0041
}

TEST_P(Gemma3Test, PerplexityWithoutBos) {
  if (!float32()) GTEST_SKIP() << "all 16 windows, in float32 only";
  const Json& reference = reference_["perplexity"];
  const double ours = measure_text(*model_, reference, reference["window_nll_sum"].size(), {}).perplexity();
  std::printf("perplexity without BOS %.6f\n", ours);
  EXPECT_NEAR(ours, reference["ppl_without_bos"].get<double>(), 0.01);
}

TEST_P(Gemma3Test, LastLogits) {
  if (!float32()) GTEST_SKIP() << "logits are compared in float32";
  auto table = formats::open_safetensors_file(*test::shared_dir() / "models" / "gemma3-270m" / "reference.safetensors");
  ASSERT_TRUE(table) << table.error().one_line();
  int compared = 0;
  for (const auto& item : reference_["prompts"]["cases"]) {
    const auto* entry = table->find("gguf.logits." + item["id"].get<std::string>());
    if (!entry) continue;
    const auto* expected = reinterpret_cast<const float*>(table->data(*entry));
    const auto last = all_logits(*model_, item["ids"].get<std::vector<int32_t>>()).back();
    for (size_t i = 0; i < last.size(); ++i) ASSERT_NEAR(last[i], expected[i], 2e-3) << item["id"] << " " << i;
    ++compared;
  }
  EXPECT_EQ(compared, 3);
}
INSTANTIATE_TEST_SUITE_P(Dtypes, Gemma3Test, testing::Values("float32", "auto"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace mhub::model
