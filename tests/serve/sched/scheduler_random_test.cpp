// SPDX-License-Identifier: Apache-2.0
// Random load over random configurations; a failure names the seed that repeats it.
#include <gtest/gtest.h>

#include <random>

#include "fake_loop.h"
#include "mhub/base/kv_blocks.h"

namespace mhub::sched::test {
namespace {

using mhub::test::fake_generate;

class RandomLoad {
 public:
  explicit RandomLoad(uint32_t seed) : random_(seed), loop_(random_config()), ahead_(seed % 2 == 0) {}

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) {
      while (pick(0, 3) == 0 && expected_.size() < 40) submit();
      if (pick(0, 9) == 0) cancel_one();
      if (pick(0, 499) == 0) loop_.scheduler.reset_prefix_cache();
      loop_.ahead = ahead_ && pick(0, 7) != 0;
      const bool idle = loop_.idle();
      if (pick(0, 19) == 0) {
        cancel_during_a_step();
      } else {
        ASSERT_EQ(loop_.step(), !idle) << "nothing scheduled though sequences wait";
      }
      settle();
    }
    loop_.run_to_end(loop_.steps + 100000);
    settle();
    EXPECT_TRUE(expected_.empty()) << "sequences without an end";
  }
  uint64_t preemptions() const { return loop_.scheduler.stats().preemptions; }
  uint64_t hits() const { return loop_.scheduler.stats().prefix_hit_tokens; }
  int ended() const { return ended_; }
  int overruns() const { return loop_.overruns; }

 private:
  struct Expected {
    std::vector<TokenId> prompt;
    int64_t outputs = 0;
    Finish finish = Finish::kLength;
  };
  int64_t pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_); }

  SchedulerConfig random_config() {
    SchedulerConfig config;
    config.num_blocks = pick(0, 2) == 0 ? 8 : pick(8, 60);
    config.block_size = pick(1, 5);
    config.max_model_len = std::min<int64_t>(pick(10, 100), config.num_blocks * config.block_size);
    config.max_num_seqs = pick(1, 12);
    config.max_num_batched_tokens = pick(1, 40);
    if (pick(0, 1) == 0) add_windows(config);
    if (pick(0, 3) == 0) config.long_context_from = pick(1, config.max_model_len);
    config.enable_prefix_caching = pick(0, 4) != 0;
    config.policy = pick(0, 1) == 0 ? Policy::kFcfs : Policy::kPriority;
    config.hash_seed = random_();
    if (pick(0, 2) == 0) {
      config.block_hash = [](uint64_t, std::span<const TokenId> tokens) {
        return static_cast<uint64_t>(tokens[0] % 2);
      };
    }
    return config;
  }
  // Up to four groups of layers; the longest context is what then fits.
  void add_windows(SchedulerConfig& config) {
    const int64_t groups = pick(1, 4), wanted = config.max_model_len;
    config.windows.clear();
    for (int64_t g = 0; g < groups; ++g) config.windows.push_back(pick(0, 2) == 0 ? 0 : pick(1, 30));
    const auto fits = [&](int64_t tokens) {
      return most_blocks_of_sequence(config.windows, config.block_size, config.max_num_batched_tokens, tokens) <=
             config.num_blocks;
    };
    while (config.max_model_len > 0 && !fits(config.max_model_len)) --config.max_model_len;
    if (config.max_model_len >= 4) return;
    config.windows = {0};
    config.max_model_len = wanted;
  }
  void submit() {
    NewSequence made;
    made.id = next_id_++;
    // Few distinct beginnings, so that prefixes are shared, cut in all places.
    const int64_t family = pick(0, 3), length = pick(1, loop_.config.max_model_len);
    for (int64_t i = 0; i < length; ++i) made.prompt.push_back(static_cast<TokenId>(family * 100 + i));
    if (pick(0, 1) == 0) made.prompt.back() = static_cast<TokenId>(pick(500, 900));
    made.max_tokens = pick(0, 9) == 0 ? 0 : pick(1, 60);
    made.priority = static_cast<int>(pick(0, 2));
    const int64_t scope = pick(0, 2);
    made.cache_scope = std::string(static_cast<size_t>(scope), 's');
    made.read_prefix_cache = pick(0, 9) != 0;
    const int64_t stop_at = pick(0, 3) == 0 ? pick(0, 30) : -1;
    Expected expected{made.prompt, std::min(made.max_tokens, loop_.config.max_model_len - length), Finish::kLength};
    if (stop_at >= 0 && stop_at < expected.outputs) {
      expected.outputs = stop_at + 1;
      expected.finish = Finish::kStop;
    }
    const SeqId id = made.id;
    const bool fits = length + (made.max_tokens > 0 ? 1 : 0) <= loop_.config.max_model_len;
    ASSERT_EQ(loop_.add(std::move(made), stop_at, static_cast<int32_t>(scope) << 20).has_value(), fits);
    if (fits) expected_[id] = std::move(expected);
  }
  void cancel_one() {
    if (expected_.empty()) return;
    auto it = std::next(expected_.begin(), pick(0, static_cast<int64_t>(expected_.size()) - 1));
    loop_.cancel(it->first);
    expected_.erase(it);
    loop_.scheduler.check_invariants();
  }
  void cancel_during_a_step() {
    loop_.settle();
    settle();
    const auto& batch = loop_.scheduler.schedule();
    if (!batch.empty()) loop_.start(batch);
    cancel_one();
    loop_.settle();
  }
  void settle() {
    for (const auto& [id, output] : loop_.outputs) {
      const auto it = expected_.find(id);
      ASSERT_NE(it, expected_.end()) << id;
      ASSERT_EQ(output, fake_generate(it->second.prompt, it->second.outputs, kVocab)) << id;
      ASSERT_EQ(loop_.finishes[id], it->second.finish) << id;
      expected_.erase(it);
      ++ended_;
    }
    loop_.outputs.clear();
    loop_.finishes.clear();
  }

  std::mt19937 random_;
  FakeLoop loop_;
  const bool ahead_;  // most steps are planned while the one before is in flight
  SeqId next_id_ = 1;
  std::map<SeqId, Expected> expected_;
  int ended_ = 0;
};

TEST(SchedulerRandom, HoldsItsInvariantsForAMillionSteps) {
  uint64_t preemptions = 0, hits = 0;
  int ended = 0, overruns = 0;
  for (uint32_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomLoad load(seed);
    load.run(500);
    if (HasFatalFailure() || HasNonfatalFailure()) return;
    preemptions += load.preemptions();
    hits += load.hits();
    ended += load.ended();
    overruns += load.overruns();
  }
  // The load reaches what it is meant to test.
  EXPECT_GT(preemptions, 10000u);
  EXPECT_GT(hits, 100000u);
  EXPECT_GT(ended, 50000);
  EXPECT_GT(overruns, 5000);
}

}  // namespace
}  // namespace mhub::sched::test
