// SPDX-License-Identifier: Apache-2.0
// Steps that are submitted before the one before is collected, on the device.
#include <gtest/gtest.h>

#include "driver_calls.h"
#include "on_cuda.h"
#include "support/temp_dir.h"

namespace mhub::model {
namespace {

class StepsAhead : public ::testing::Test {
 protected:
  void SetUp() override {
    write_cuda_model(dir_.path());
    std::string why;
    model_ = load_on_cuda(dir_.path(), false, &why);
    if (!model_) GTEST_SKIP() << why;
    for (size_t s = 0; s < kSequences; ++s) {
      Sequence made;
      for (size_t i = 0; i < 3 + 29 * s % 90; ++i)
        made.prompt.push_back(static_cast<int32_t>((i * 37 + s * 101) % 1000));
      made.params.temperature = s % 3 == 0 ? 0.0f : 0.9f;
      made.params.top_p = s % 3 == 1 ? 0.8f : 1.0f;
      made.params.seed = 7 * s;
      made.blocks = block_table(*model_, 512, static_cast<int32_t>(s), kSequences);
      sequences_.push_back(std::move(made));
    }
  }

  // The step-th step of all: their prompts, then a token each. `pending`: what the step before drew is not known.
  void submit(int step, bool pending) {
    static const std::vector<int32_t> unknown = {-1};
    outputs_.assign(kSequences, std::vector<int32_t>(static_cast<size_t>(step), 0));  // seeds count them
    rows_.assign(kSequences, {});
    for (size_t s = 0; s < kSequences; ++s) {
      const Sequence& sequence = sequences_[s];
      StepRow& row = rows_[s];
      row.tokens = sequence.prompt;
      if (step > 0) row.tokens = pending ? std::span<const int32_t>(unknown) : std::span(&sequence.output.back(), 1);
      row.pending_row = step > 0 && pending ? static_cast<int32_t>(s) : -1;
      row.first_position = step == 0 ? 0 : static_cast<int32_t>(sequence.prompt.size()) + step - 1;
      row.block_table = sequence.blocks;
      row.sample = true;
      row.params = &sequence.params;
      row.prompt = sequence.prompt;
      row.output = outputs_[s];
    }
    model_->submit(rows_);
  }
  void collect() {
    model_->collect(results_);
    for (size_t s = 0; s < kSequences; ++s) sequences_[s].output.push_back(results_.at(s).token.value());
  }

  static constexpr size_t kSequences = 11;
  test::TempDir dir_;
  std::unique_ptr<LoadedModel> model_;
  std::vector<Sequence> sequences_;
  std::vector<std::vector<int32_t>> outputs_;
  std::vector<StepRow> rows_;
  std::vector<RowResult> results_;
};

TEST_F(StepsAhead, GiveTheSameTokens) {
  constexpr int kSteps = 40;
  std::vector<std::vector<int32_t>> expected;
  for (int step = 0; step < kSteps; ++step) {
    submit(step, false);
    collect();
  }
  for (auto& sequence : sequences_) expected.push_back(std::exchange(sequence.output, {}));
  ASSERT_TRUE(model_->runs_ahead(sequences_[1].params));
  submit(0, false);
  for (int step = 1; step < kSteps; ++step) {
    submit(step, true);
    collect();
  }
  collect();
  for (size_t s = 0; s < kSequences; ++s) EXPECT_EQ(sequences_[s].output, expected[s]) << s;
}

TEST_F(StepsAhead, TakeOneCopyEachWayAndWaitForTheStepBeforeAlone) {
  submit(0, false);
  for (int step = 1; step < 20; ++step) {
    submit(step, true);
    collect();
  }
  std::string why;
  const auto calls = DriverCalls::start(&why);
  if (!calls) GTEST_SKIP() << why;
  constexpr int kSteps = 50;
  for (int step = 20; step < 20 + kSteps; ++step) {
    submit(step, true);
    collect();
  }
  const auto counted = calls->counts();
  collect();
  std::string all;
  for (const auto& [name, count] : counted) all += name + " " + std::to_string(count) + "\n";
  const auto containing = [&](const std::string& part) {
    int sum = 0;
    for (const auto& [name, count] : counted) sum += name.find(part) != std::string::npos ? count : 0;
    return sum;
  };
  EXPECT_EQ(containing("Memcpy"), 2 * kSteps) << all;
  EXPECT_EQ(containing("MemcpyHtoDAsync"), kSteps) << all;
  EXPECT_EQ(containing("MemcpyDtoHAsync"), kSteps) << all;
  EXPECT_EQ(containing("GraphLaunch"), kSteps) << all;
  EXPECT_EQ(containing("Synchronize"), kSteps) << all;  // of the event behind the ids of the step before
  EXPECT_EQ(containing("EventSynchronize"), kSteps) << all;
  EXPECT_EQ(containing("Alloc"), 0) << all;
  EXPECT_EQ(containing("Free"), 0) << all;
  EXPECT_EQ(containing("Capture"), 0) << all;
  RecordProperty("driver_calls", all);
}

}  // namespace
}  // namespace mhub::model
