// SPDX-License-Identifier: Apache-2.0
// Once warm, the engine thread asks the heap for nothing between one step and the next. A program of its own: it counts
// operator new.
#include <gtest/gtest.h>

#include <atomic>

#include "engine_loop.h"
#include "read_stream.h"
#include "support/counted_new.h"

namespace mhub::engine::test {
namespace {

constexpr int64_t kBlocks = 1024, kBlockSize = 16, kTokens = 1000;
constexpr int kWarmSteps = 500;

// Gives every row the same token, at once.
class ConstantRunner final : public model::ModelRunner {
 public:
  explicit ConstantRunner(bool ahead) : ahead_(ahead) {}
  void submit(std::span<const model::StepRow> rows) override { sizes_[(first_ + count_++) % 2] = rows.size(); }
  void collect(std::vector<model::RowResult>& results) override {
    results.resize(sizes_[first_]);
    for (auto& result : results) result.token = 7;
    first_ = (first_ + 1) % 2;
    --count_;
  }
  bool runs_ahead(const model::SamplingParams&) const override { return ahead_; }
  int64_t num_blocks() const override { return kBlocks; }
  int64_t block_size() const override { return kBlockSize; }
  const std::vector<int64_t>& kv_windows() const override { return windows_; }
  int64_t long_context_from() const override { return 0; }
  int64_t vocab_size() const override { return 1000; }
  int64_t max_model_len() const override { return 2 * kTokens; }

 private:
  const bool ahead_;
  const std::vector<int64_t> windows_ = {0};
  std::array<size_t, 2> sizes_{};
  size_t first_ = 0, count_ = 0;
};

// Like the worker's: reads the deltas and leaves their memory alone.
class CountingListener final : public StepListener {
 public:
  void on_step(std::span<RequestDelta> deltas, const EngineStats& stats) override {
    const auto now = static_cast<int64_t>(mhub::test::new_calls());
    if (stats.steps > kWarmSteps && deltas.size() == kSequences) most = std::max(most.load(), now - last_);
    last_ = now;
    for (const auto& [id, delta] : deltas) ended += delta.finish ? 1 : 0;
  }
  void on_fault(const Error&) override { ended = -1; }

  static constexpr size_t kSequences = 5;
  std::atomic<int64_t> most{0};
  std::atomic<int> ended{0};

 private:
  int64_t last_ = 0;
};

TEST(EngineSteadyState, AStepAllocatesNothing) {
  for (const bool ahead : {false, true}) {
    sched::SchedulerConfig config;
    config.num_blocks = kBlocks;
    config.block_size = kBlockSize;
    config.max_model_len = 2 * kTokens;
    config.enable_prefix_caching = false;  // a full block that becomes findable costs an entry
    CountingListener listener;
    EngineLoop loop(std::make_unique<ConstantRunner>(ahead), config, 100, listener);
    for (RequestId id = 1; id <= CountingListener::kSequences; ++id) {
      GenerationRequest made;
      made.prompt.assign(20, static_cast<TokenId>(id));
      made.params.max_tokens = kTokens;
      ASSERT_TRUE(loop.submit(id, std::move(made)));
    }
    ASSERT_TRUE(eventually([&] { return listener.ended == static_cast<int>(CountingListener::kSequences); }));
    EXPECT_EQ(listener.most, 0) << (ahead ? "ahead" : "one after the other");
  }
}

}  // namespace
}  // namespace mhub::engine::test
