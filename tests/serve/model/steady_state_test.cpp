// SPDX-License-Identifier: Apache-2.0
// Once warm, step() asks the heap for its small result and nothing else; submit() and collect() for nothing. A program
// of its own: it counts operator new.
#include <gtest/gtest.h>

#include "serve/model/loaded.h"
#include "serve/model/padding_backend.h"
#include "support/counted_new.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace mhub::model {
namespace {

TEST(SteadyState, StepAllocatesItsResultOnly) {
  test::TempDir dir;
  test::TinyModelOptions tiny;
  tiny.vocab_size = 4096;
  test::write_tiny_model(dir.path(), tiny);
  for (const char* dtype : {"float32", "auto"}) {
    auto options = float32_options(dir.path());
    options.dtype = dtype;
    auto model = load(options);
    constexpr size_t kRows = 4;
    std::vector<Sequence> sequences(kRows);
    for (size_t i = 0; i < kRows; ++i) {
      sequences[i].blocks = block_table(*model, 400, static_cast<int32_t>(i), kRows);
      sequences[i].params.top_p = 0.9f;
      sequences[i].params.presence_penalty = 0.5f;
    }
    const std::vector<int32_t> token = {65};
    std::vector<StepRow> rows(kRows);
    size_t most = 0;
    for (int32_t position = 0; position < 300; ++position) {
      for (size_t i = 0; i < kRows; ++i) {
        rows[i].tokens = token;
        rows[i].first_position = position;
        rows[i].block_table = sequences[i].blocks;
        rows[i].sample = true;
        rows[i].params = &sequences[i].params;
        rows[i].output = token;
      }
      const size_t before = test::new_bytes();
      const auto results = model->step(rows);
      if (position >= 200) most = std::max(most, test::new_bytes() - before);
      ASSERT_TRUE(results[0].token);
    }
    EXPECT_LE(most, 2 * kRows * sizeof(RowResult)) << dtype;
  }
}

// On a back end that steps ahead, like a device: no memory, no copy beside the announced inputs, no wait but collect().
TEST(SteadyState, StepsAheadAllocateNothing) {
  test::TempDir dir;
  test::write_tiny_model(dir.path(), {});
  auto options = float32_options(dir.path());
  options.kv_cache_memory_bytes = 4u << 20;
  Seen seen;
  kernels::BackendOptions backend_options;
  backend_options.compute = kernels::Compute::kFloat32;
  const auto model = LoadedModel::load(
      std::make_unique<PaddingBackend>(kernels::make_cpu_backend(backend_options), seen, true), options);
  ASSERT_TRUE(model) << model.error().one_line();
  constexpr size_t kRows = 3;
  const SamplingParams params = greedy_params();
  const std::vector<int32_t> token = {65};
  std::vector<std::vector<int32_t>> tables;
  for (size_t i = 0; i < kRows; ++i) tables.push_back(block_table(**model, 400, static_cast<int32_t>(i), kRows));
  std::vector<StepRow> rows(kRows);
  std::vector<RowResult> results;
  size_t most = 0;
  Seen warm;
  for (int32_t position = 0; position < 300; ++position) {
    if (position == 200) warm = seen;
    for (size_t i = 0; i < kRows; ++i) {
      rows[i].tokens = token;
      rows[i].pending_row = position == 0 ? -1 : static_cast<int32_t>(i);
      rows[i].first_position = position;
      rows[i].block_table = tables[i];
      rows[i].sample = true;
      rows[i].params = &params;
    }
    const size_t before = test::new_bytes();
    (*model)->submit(rows);
    if (position > 0) (*model)->collect(results);
    if (position >= 200) most = std::max(most, test::new_bytes() - before);
  }
  EXPECT_EQ(most, 0u);
  EXPECT_EQ(seen.steps - warm.steps, 100);
  EXPECT_EQ(seen.copies, warm.copies);
  EXPECT_EQ(seen.allocations, warm.allocations);
}

}  // namespace
}  // namespace mhub::model
