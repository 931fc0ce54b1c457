// SPDX-License-Identifier: Apache-2.0
// longrope: which factors a sequence is computed with depends on its own length.
#include <gtest/gtest.h>

#include "serve/model/loaded.h"
#include "support/family_config.h"
#include "support/temp_dir.h"

namespace mhub::model {
namespace {

constexpr int64_t kOriginal = 32;

std::unique_ptr<LoadedModel> load_phi3(double short_factor, double long_factor) {
  Json config = test::family_config("Phi3ForCausalLM");
  config["max_position_embeddings"] = 4 * kOriginal;
  config["original_max_position_embeddings"] = kOriginal;
  config["rope_scaling"] = {{"type", "longrope"},
                            {"short_factor", std::vector<double>(8, short_factor)},
                            {"long_factor", std::vector<double>(8, long_factor)}};
  const test::TempDir dir;
  test::write_file(dir / "config.json", dump_json(config));
  RunnerOptions options = float32_options(dir.path());
  options.load_format = LoadFormat::kDummy;
  options.block_size = 4;
  return load(options);
}

std::vector<int32_t> tokens(int32_t count) {
  std::vector<int32_t> out;
  for (int32_t i = 0; i < count; ++i) out.push_back((i * 37 + 11) % 250);
  return out;
}

TEST(Longrope, FactorsFollowTheLengthOfTheSequence) {
  const auto both = load_phi3(1.5, 4), only_short = load_phi3(1.5, 1.5), only_long = load_phi3(4, 4);
  EXPECT_EQ(both->long_context_from(), kOriginal);
  for (const int32_t length : {1, 20, 32})
    EXPECT_EQ(all_logits(*both, tokens(length)), all_logits(*only_short, tokens(length)));
  for (const int32_t length : {33, 90})
    EXPECT_EQ(all_logits(*both, tokens(length)), all_logits(*only_long, tokens(length)));
  EXPECT_NE(all_logits(*both, tokens(20)), all_logits(*only_long, tokens(20)));
}

TEST(Longrope, ContextsThatNeverPassTheOriginalLengthHaveOneTable) {
  Json config = test::family_config("Phi3ForCausalLM");
  config["max_position_embeddings"] = config["original_max_position_embeddings"] = 64;
  config["rope_scaling"] = {
      {"type", "longrope"}, {"short_factor", std::vector<double>(8, 1.5)}, {"long_factor", std::vector<double>(8, 4)}};
  const test::TempDir dir;
  test::write_file(dir / "config.json", dump_json(config));
  RunnerOptions options = float32_options(dir.path());
  options.load_format = LoadFormat::kDummy;
  EXPECT_EQ(load(options)->long_context_from(), 0);
}

// Each step says what length its sequence has; chunks do not matter.
TEST(Longrope, StepsOfShortAndLongSequences) {
  const auto model = load_phi3(1.5, 4);
  for (const int32_t length : {20, 50}) {
    const auto ids = tokens(length);
    const auto last = all_logits(*model, ids).back();
    const auto expected = static_cast<int32_t>(std::max_element(last.begin(), last.end()) - last.begin());
    for (const int32_t chunk : {100, 7}) {
      Sequence sequence;
      sequence.prompt = ids;
      sequence.params = greedy_params();
      sequence.long_context = length > kOriginal;
      sequence.blocks = block_table(*model, length + 1);
      EXPECT_EQ(generate(*model, sequence, 1, chunk), std::vector<int32_t>{expected});
    }
  }
}

}  // namespace
}  // namespace mhub::model
