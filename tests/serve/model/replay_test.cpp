// SPDX-License-Identifier: Apache-2.0
// Decode steps on a back end that wants them padded: the answers are those of unpadded steps.
#include <gtest/gtest.h>

#include "serve/model/loaded.h"
#include "serve/model/padding_backend.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace mhub::model {
namespace {

using namespace kernels;

TEST(Replay, PaddedStepsGiveTheSameTokens) {
  test::TempDir dir;
  test::write_tiny_model(dir.path(), {});
  auto options = float32_options(dir.path());  // 8 sequences, more than a replayed step has
  options.kv_cache_memory_bytes = 4u << 20;
  const auto plain = load(options);
  Seen seen;
  BackendOptions backend_options;
  backend_options.compute = Compute::kFloat32;
  auto padding = LoadedModel::load(std::make_unique<PaddingBackend>(make_cpu_backend(backend_options), seen), options);
  ASSERT_TRUE(padding) << padding.error().one_line();

  Sequence sequence;
  for (int32_t i = 0; i < 11; ++i) sequence.prompt.push_back(i * 17 % 256);
  sequence.params = greedy_params();
  sequence.blocks = block_table(*plain, 40);
  Sequence same = sequence;
  EXPECT_EQ(generate(**padding, same, 16), generate(*plain, sequence, 16));
  EXPECT_EQ(seen.replays, 15);
  EXPECT_EQ(seen.padding_rows, 3 * 15);
}

// The device keeps what it drew; the next step is submitted before it is known.
TEST(Replay, StepsOneBehindGiveTheSameTokens) {
  test::TempDir dir;
  test::write_tiny_model(dir.path(), {});
  auto options = float32_options(dir.path());
  options.kv_cache_memory_bytes = 4u << 20;
  BackendOptions backend_options;
  backend_options.compute = Compute::kFloat32;
  auto loaded = LoadedModel::load(make_cpu_backend(backend_options), options);
  ASSERT_TRUE(loaded) << loaded.error().one_line();
  const auto plain = *std::move(loaded);
  Seen seen;
  auto ahead =
      LoadedModel::load(std::make_unique<PaddingBackend>(make_cpu_backend(backend_options), seen, true), options);
  ASSERT_TRUE(ahead) << ahead.error().one_line();
  SamplingParams biased = greedy_params();
  EXPECT_TRUE((*ahead)->runs_ahead(biased));
  EXPECT_FALSE(plain->runs_ahead(biased));
  biased.logit_bias = {{5, 1.0f}};
  EXPECT_FALSE((*ahead)->runs_ahead(biased));

  constexpr size_t kSequences = 3;
  constexpr int kOutputs = 12;
  std::vector<Sequence> sequences(kSequences);
  std::vector<std::vector<int32_t>> expected;
  for (size_t s = 0; s < kSequences; ++s) {
    for (size_t i = 0; i < 5 + 4 * s; ++i) sequences[s].prompt.push_back(static_cast<int32_t>((i * 17 + s * 31) % 256));
    sequences[s].params = greedy_params();
    sequences[s].blocks = block_table(*plain, 64, static_cast<int32_t>(s), kSequences);
    Sequence same = sequences[s];
    expected.push_back(generate(*plain, same, kOutputs));
  }
  while ((*ahead)->prepare_more()) {
  }
  EXPECT_FALSE((*ahead)->prepare_more());
  EXPECT_EQ(seen.steps, 2);  // of 4 rows and of 256
  EXPECT_EQ(seen.padding_rows, 4 + 256);
  const int64_t copies = seen.copies;
  std::vector<StepRow> rows(kSequences);
  std::vector<RowResult> results;
  const std::vector<int32_t> unknown = {-1};
  for (int step = 0; step <= kOutputs; ++step) {
    for (size_t s = 0; s < kSequences && step < kOutputs; ++s) {
      const auto prompt = static_cast<int32_t>(sequences[s].prompt.size());
      rows[s].tokens = step == 0 ? std::span<const int32_t>(sequences[s].prompt) : unknown;
      rows[s].pending_row = step == 0 ? -1 : static_cast<int32_t>(s);
      rows[s].first_position = step == 0 ? 0 : prompt + step - 1;
      rows[s].block_table = sequences[s].blocks;
      rows[s].sample = true;
      rows[s].params = &sequences[s].params;
      rows[s].prompt = sequences[s].prompt;
    }
    if (step < kOutputs) (*ahead)->submit(rows);
    if (step == 0) continue;
    (*ahead)->collect(results);
    ASSERT_EQ(results.size(), kSequences);
    for (size_t s = 0; s < kSequences; ++s) sequences[s].output.push_back(results[s].token.value());
  }
  for (size_t s = 0; s < kSequences; ++s) EXPECT_EQ(sequences[s].output, expected[s]) << s;
  EXPECT_EQ(seen.replays, kOutputs - 1);
  EXPECT_EQ(seen.copies, copies);
}

}  // namespace
}  // namespace mhub::model
