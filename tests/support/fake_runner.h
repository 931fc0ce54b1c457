// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <thread>

#include "mhub/model/model_runner.h"
#include "mhub/sched/scheduler.h"
#include "support/fake_model.h"

namespace mhub::test {

// What a test does to a running FakeRunner, from its own thread.
struct FakeRunnerControls {
  std::atomic<int> step_ms{0};
  std::atomic<bool> throw_next{false};        // the next step throws
  std::atomic<bool> hold{false};              // steps wait until it is false again
  std::atomic<int32_t> bad_prompt_token{-1};  // sequences whose prompt begins with it get logits that are not finite
  std::atomic<int> steps{0};
  std::atomic<int> unprepared{0};  // pieces of work for idle times
  std::atomic<bool> ahead{false};  // before the engine starts: steps are submitted before the one before is collected
};

// A ModelRunner whose tokens depend on what its paged memory really holds (FakeKv). Log-probabilities name the token
// they belong to: logprob = -token.
class FakeRunner final : public model::ModelRunner {
 public:
  static constexpr int32_t kVocab = 1000;
  FakeRunner(const sched::SchedulerConfig& config, std::shared_ptr<FakeRunnerControls> controls)
      : config_(config), controls_(std::move(controls)), kv_(config.num_blocks, config.block_size) {}

  void submit(std::span<const model::StepRow> rows) override {
    ++controls_->steps;
    if (controls_->throw_next) throw std::runtime_error("the fake runner was told to throw");
    std::vector<model::RowResult> results;
    for (const auto& row : rows) results.push_back(run(row));
    submitted_.push_back(std::move(results));
    if (submitted_.size() > 2) throw std::runtime_error("three steps in flight");
  }
  void collect(std::vector<model::RowResult>& results) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(controls_->step_ms));
    while (controls_->hold) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    results = std::move(submitted_.front());
    submitted_.pop_front();
  }
  bool prepare_more() override { return controls_->unprepared > 0 && --controls_->unprepared > 0; }
  bool runs_ahead(const model::SamplingParams& params) const override {
    return controls_->ahead && params.logprobs < 0 && params.prompt_logprobs < 0;
  }
  int64_t num_blocks() const override { return config_.num_blocks; }
  int64_t block_size() const override { return config_.block_size; }
  int64_t long_context_from() const override { return config_.long_context_from; }
  const std::vector<int64_t>& kv_windows() const override { return config_.windows; }
  int64_t vocab_size() const override { return kVocab; }
  int64_t max_model_len() const override { return config_.max_model_len; }

 private:
  model::RowResult run(const model::StepRow& row) {
    std::vector<int32_t> tokens(row.tokens.begin(), row.tokens.end());
    if (row.pending_row >= 0)
      tokens.back() = submitted_.back().at(static_cast<size_t>(row.pending_row)).token.value_or(0);
    kv_.write(tokens, row.first_position, row.block_table);
    model::RowResult result;
    if (row.prompt[0] == controls_->bad_prompt_token) {
      result.non_finite = true;
      return result;
    }
    if (row.want_prompt_logprobs) {
      for (const int32_t next : row.next_tokens) {
        if (next >= 0) result.prompt_logprobs.push_back({{next, -static_cast<float>(next), 1}, {}});
      }
    }
    if (!row.sample) return result;
    const auto context = kv_.read(row.first_position + static_cast<int64_t>(row.tokens.size()), row.block_table);
    result.token = fake_next_token(context, kVocab);
    if (row.params->logprobs >= 0) {
      result.logprobs = model::PositionLogprobs{{*result.token, -static_cast<float>(*result.token), 1}, {}};
    }
    return result;
  }
  sched::SchedulerConfig config_;
  std::shared_ptr<FakeRunnerControls> controls_;
  FakeKv kv_;
  std::deque<std::vector<model::RowResult>> submitted_;
};

}  // namespace mhub::test
