// SPDX-License-Identifier: Apache-2.0
// The mode in which an answer depends on nothing but its request, to the last bit.
#include <gtest/gtest.h>

#include "on_cuda.h"
#include "support/temp_dir.h"

namespace mhub::model {
namespace {

constexpr int kOutputs = 24;

struct Answer {
  std::vector<int32_t> tokens;
  std::vector<float> logprobs;  // of the tokens; they are read off the logits
  bool operator==(const Answer&) const = default;
};

class BatchInvariance : public ::testing::Test {
 protected:
  void SetUp() override {
    write_cuda_model(dir_.path());
    std::string why;
    model_ = load_on_cuda(dir_.path(), true, &why);
    if (!model_) GTEST_SKIP() << why;
  }

  Sequence sequence(size_t index, int32_t prompt) const {
    Sequence made;
    for (int32_t i = 0; i < prompt; ++i)
      made.prompt.push_back((i * 37 + static_cast<int32_t>(index) * 101 + 11) % 1000);
    made.params = greedy_params();
    made.params.logprobs = 0;
    made.blocks = block_table(*model_, 512, static_cast<int32_t>(index), kMostSequences);
    return made;
  }

  // Runs all together, prompts in chunks of `chunk`; the answer of the first.
  Answer run(std::vector<Sequence> sequences, int32_t chunk) {
    Answer answer;
    while (static_cast<int>(answer.tokens.size()) < kOutputs) {
      std::vector<std::vector<int32_t>> tokens;
      std::vector<StepRow> rows;
      for (auto& s : sequences) tokens.push_back(s.tokens());
      for (size_t i = 0; i < sequences.size(); ++i) {
        Sequence& s = sequences[i];
        const auto total = static_cast<int32_t>(tokens[i].size()), end = std::min(total, s.computed + chunk);
        StepRow row;
        row.tokens =
            std::span(tokens[i]).subspan(static_cast<size_t>(s.computed), static_cast<size_t>(end - s.computed));
        row.first_position = s.computed;
        row.block_table = s.blocks;
        row.sample = end == total;
        row.params = &s.params;
        row.prompt = s.prompt;
        row.output = s.output;
        rows.push_back(row);
        s.computed = end;
      }
      const auto results = model_->step(rows);
      for (size_t i = 0; i < sequences.size(); ++i) {
        if (rows[i].sample) sequences[i].output.push_back(results[i].token.value());
      }
      if (!rows[0].sample) continue;
      answer.tokens.push_back(results[0].token.value());
      answer.logprobs.push_back(results[0].logprobs.value().chosen.logprob);
    }
    return answer;
  }

  static constexpr int32_t kMostSequences = 40;
  test::TempDir dir_;
  std::unique_ptr<LoadedModel> model_;
};

TEST_F(BatchInvariance, AnAnswerDependsOnNothingElseInTheBatch) {
  for (const int32_t prompt : {1, 5, 70, 200}) {
    const Answer alone = run({sequence(0, prompt)}, 1024);
    for (const size_t others : {1u, 7u, 39u}) {
      std::vector<Sequence> sequences = {sequence(0, prompt)};
      for (size_t i = 1; i <= others; ++i) sequences.push_back(sequence(i, static_cast<int32_t>(1 + i * 13 % 300)));
      EXPECT_EQ(run(std::move(sequences), 20), alone) << prompt << " beside " << others;
    }
  }
}

TEST_F(BatchInvariance, NorOnHowItsPromptIsCut) {
  const Answer whole = run({sequence(0, 200)}, 1024);
  for (const int32_t chunk : {1, 3, 16, 64, 129}) EXPECT_EQ(run({sequence(0, 200)}, chunk), whole) << chunk;
}

// A preempted sequence computes as a prompt what it had generated token by token.
TEST_F(BatchInvariance, NorOnAPreemption) {
  const Answer undisturbed = run({sequence(0, 50)}, 1024);
  Sequence again = sequence(0, 50);
  again.output.assign(undisturbed.tokens.begin(), undisturbed.tokens.begin() + 10);
  const Answer rest = run({again}, 1024);
  EXPECT_TRUE(std::equal(undisturbed.tokens.begin() + 10, undisturbed.tokens.end(), rest.tokens.begin()));
  EXPECT_TRUE(std::equal(undisturbed.logprobs.begin() + 10, undisturbed.logprobs.end(), rest.logprobs.begin()));
}

}  // namespace
}  // namespace mhub::model
