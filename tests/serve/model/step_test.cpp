// SPDX-License-Identifier: Apache-2.0
// Paging, chunking and batching change nothing: step() against forward_logits() and against itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "mhub/base/check.h"
#include "serve/model/loaded.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace mhub::model {
namespace {

class StepTest : public testing::Test {
 protected:
  StepTest() {
    test::write_tiny_model(dir_.path(), {});
    auto options = float32_options(dir_.path());
    options.block_size = 4;
    options.sampled_vocab = 259;
    options.kv_cache_memory_bytes = 4u << 20;
    model_ = load(options);
  }
  std::vector<int32_t> prompt(size_t length, int32_t seed) const {
    std::vector<int32_t> tokens;
    for (size_t i = 0; i < length; ++i) tokens.push_back((seed * 31 + static_cast<int32_t>(i) * 17) % 256);
    return tokens;
  }
  // Greedy by whole forward passes, no paging.
  std::vector<int32_t> unpaged(std::vector<int32_t> tokens, int count) {
    std::vector<int32_t> output;
    for (int i = 0; i < count; ++i) {
      const auto last = all_logits(*model_, tokens).back();
      output.push_back(static_cast<int32_t>(std::max_element(last.begin(), last.begin() + 259) - last.begin()));
      tokens.push_back(output.back());
    }
    return output;
  }
  Sequence sequence(size_t length, int32_t seed, int32_t first_block, int32_t stride) {
    Sequence s;
    s.prompt = prompt(length, seed);
    s.params = greedy_params();
    s.blocks = block_table(*model_, static_cast<int64_t>(length) + 20, first_block, stride);
    return s;
  }
  test::TempDir dir_;
  std::unique_ptr<LoadedModel> model_;
};

TEST_F(StepTest, PagedEqualsUnpaged) {
  auto s = sequence(37, 1, 3, 5);
  EXPECT_EQ(generate(*model_, s, 16), unpaged(s.prompt, 16));
}

TEST_F(StepTest, ChunkedPrefillEqualsWhole) {
  const auto expected = unpaged(prompt(37, 2), 12);
  for (const int32_t chunk : {1, 3, 4, 16, 36}) {
    auto s = sequence(37, 2, 40, -1);
    EXPECT_EQ(generate(*model_, s, 12, chunk), expected) << chunk;
  }
}

// Prefills and decodes of several sequences in the same steps, with interleaved blocks.
TEST_F(StepTest, BatchEqualsAlone) {
  std::vector<Sequence> batch;
  for (int32_t i = 0; i < 5; ++i) batch.push_back(sequence(static_cast<size_t>(5 + 9 * i), i + 3, i, 5));
  std::vector<std::vector<int32_t>> expected;
  for (const auto& s : batch) expected.push_back(unpaged(s.prompt, 10));
  for (int step = 0; step < 40; ++step) {
    std::vector<std::vector<int32_t>> tokens;
    std::vector<StepRow> rows;
    std::vector<size_t> owners;
    for (const auto& s : batch) tokens.push_back(s.tokens());
    for (size_t i = 0; i < batch.size(); ++i) {
      Sequence& s = batch[i];
      if (s.output.size() >= 10 || step < static_cast<int>(i)) continue;
      const auto total = static_cast<int32_t>(tokens[i].size());
      const int32_t count = std::min(total - s.computed, 7);
      StepRow row;
      row.tokens = std::span(tokens[i]).subspan(static_cast<size_t>(s.computed), static_cast<size_t>(count));
      row.first_position = s.computed;
      row.block_table = s.blocks;
      row.sample = s.computed + count == total;
      row.params = &s.params;
      row.prompt = s.prompt;
      row.output = s.output;
      rows.push_back(row);
      owners.push_back(i);
    }
    const auto results = model_->step(rows);
    ASSERT_EQ(results.size(), rows.size());
    for (size_t r = 0; r < rows.size(); ++r) {
      Sequence& s = batch[owners[r]];
      s.computed += static_cast<int32_t>(rows[r].tokens.size());
      EXPECT_EQ(results[r].token.has_value(), rows[r].sample);
      if (rows[r].sample) s.output.push_back(*results[r].token);
    }
  }
  for (size_t i = 0; i < batch.size(); ++i) EXPECT_EQ(batch[i].output, expected[i]) << i;
}

TEST_F(StepTest, EvaluationDoesNotDisturbRunningSequences) {
  auto s = sequence(20, 9, 0, 1);
  const auto expected = unpaged(s.prompt, 8);
  generate(*model_, s, 4);
  all_logits(*model_, prompt(60, 5));
  EXPECT_EQ(generate(*model_, s, 8), expected);
}

TEST_F(StepTest, PromptLogprobs) {
  const auto tokens = prompt(10, 4);
  const auto logits = all_logits(*model_, tokens);
  std::vector<int32_t> next(tokens.begin() + 1, tokens.end());
  next.push_back(-1);
  auto params = greedy_params();
  params.prompt_logprobs = 2;
  params.logprobs = 1;
  const auto blocks = block_table(*model_, 10);
  StepRow row;
  row.tokens = tokens;
  row.block_table = blocks;
  row.sample = true;
  row.params = &params;
  row.prompt = tokens;
  row.want_prompt_logprobs = true;
  row.next_tokens = next;
  const auto results = model_->step({&row, 1});
  ASSERT_EQ(results[0].prompt_logprobs.size(), 9u);
  EXPECT_TRUE(results[0].token);
  EXPECT_TRUE(results[0].logprobs);
  for (size_t i = 0; i < 9; ++i) {
    double sum = 0;
    for (size_t t = 0; t < 259; ++t) sum += std::exp(static_cast<double>(logits[i][t]));
    const auto& at = results[0].prompt_logprobs[i];
    EXPECT_EQ(at.chosen.token, next[i]);
    EXPECT_NEAR(at.chosen.logprob, static_cast<double>(logits[i][static_cast<size_t>(next[i])]) - std::log(sum), 1e-4);
    EXPECT_EQ(at.top.size(), 2u);
    EXPECT_GE(at.top[0].logprob, at.top[1].logprob);
  }
}

TEST_F(StepTest, PaddedVocabularyIsNeverSampled) {
  auto s = sequence(5, 1, 0, 1);
  s.params.temperature = 50;
  s.blocks = block_table(*model_, 200);
  for (const int32_t token : generate(*model_, s, 150)) EXPECT_LT(token, 259);
}

TEST_F(StepTest, BadRowsAreBugs) {
  auto s = sequence(5, 1, 0, 1);
  StepRow row;
  row.tokens = s.prompt;
  row.params = &s.params;
  EXPECT_THROW(model_->step({&row, 1}), InternalError);  // no blocks
  row.block_table = s.blocks;
  row.first_position = 510;
  EXPECT_THROW(model_->step({&row, 1}), InternalError);  // past max_model_len
  EXPECT_TRUE(model_->step({}).empty());
}

TEST_F(StepTest, PlanIsReported) {
  EXPECT_EQ(model_->plan().kv_dtype, "F32");
  EXPECT_EQ(model_->plan().compute, "float32");
  EXPECT_EQ(model_->max_model_len(), 512);
  // 2 x 2 layers x 4 tokens x 2 heads x 16 x 4 bytes; no more than 8 sequences of 512 need.
  EXPECT_EQ(model_->plan().kv_bytes, static_cast<uint64_t>(model_->num_blocks()) * 2048);
  EXPECT_EQ(model_->num_blocks(), (4 << 20) / 2048);
  EXPECT_EQ(model_->config().eos_token_ids.size(), 2u);
}

}  // namespace
}  // namespace mhub::model
