// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "mhub/sched/scheduler.h"
#include "support/fake_model.h"

namespace mhub::sched::test {

constexpr int32_t kVocab = 1000;

// Drives a Scheduler with the fake model, checking every step: budget, seats, ranges, no write into a block that
// another row can see, and the scheduler's own invariants.
class FakeLoop {
 public:
  explicit FakeLoop(const SchedulerConfig& c) : config(c), scheduler(c), kv_(c.num_blocks, c.block_size) {}

  // `stop_at`: output index at which the outside ends it with kStop (-1 never); `tag` marks what its blocks hold.
  Result<void> add(NewSequence sequence, int64_t stop_at = -1, int32_t tag = 0) {
    const SeqId id = sequence.id;
    std::vector<TokenId> prompt = sequence.prompt;
    auto added = scheduler.add(std::move(sequence));
    if (added) live_[id] = {stop_at, tag, {}, std::move(prompt)};
    return added;
  }
  void cancel(SeqId id) {
    EXPECT_EQ(scheduler.cancel(id), live_.erase(id) == 1);
    EXPECT_FALSE(scheduler.cancel(id));
  }
  // False when there was nothing to do. With `ahead` the step stays in flight while the next one is planned.
  bool step() {
    const bool was_in_flight = !in_flight_.empty();
    settle();
    const auto& batch = scheduler.schedule();
    check(batch);
    last_batch_tokens = batch.num_tokens;
    last_ids.clear();
    for (const auto& row : batch.seqs) last_ids.push_back(row.id);
    if (batch.empty()) {
      if (!in_flight_.empty()) apply_oldest();
      return was_in_flight;
    }
    start(batch);
    ++steps;
    settle();
    return true;
  }
  // Runs a batch; its results are applied later.
  void start(const ScheduledBatch& batch) {
    std::vector<SeqResult> results;
    for (const auto& row : batch.seqs) results.push_back(run(row));
    in_flight_.push_back(std::move(results));
  }
  void settle() {
    while (in_flight_.size() > (ahead ? 1u : 0u)) apply_oldest();
  }
  void apply_oldest() {
    const std::vector<SeqResult> results = std::move(in_flight_.front());
    in_flight_.erase(in_flight_.begin());
    apply(results);
  }
  void apply(const std::vector<SeqResult>& results) {
    for (const auto& result : results) {
      if (!live_.count(result.id)) ++overruns;
    }
    for (const auto& update : scheduler.commit(results)) {
      Live& live = live_.at(update.id);
      if (update.token) live.output.push_back(*update.token);
      if (!update.finish) continue;
      outputs[update.id] = live.output;
      finishes[update.id] = *update.finish;
      live_.erase(update.id);
    }
    scheduler.check_invariants();
  }
  void run_to_end(int max_steps = 100000) {
    while (!idle()) {
      ASSERT_TRUE(step()) << "nothing scheduled though sequences wait";
      ASSERT_LT(steps, max_steps) << "no end";
    }
    EXPECT_EQ(scheduler.stats().blocks_held, 0);
  }
  bool idle() const { return scheduler.idle() && in_flight_.empty(); }
  SeqResult run(const ScheduledSeq& row) {
    Live& live = live_.at(row.id);
    std::vector<TokenId> tokens(row.tokens.begin(), row.tokens.end());
    if (row.pending_row >= 0) {
      const SeqResult& pending = in_flight_.back().at(static_cast<size_t>(row.pending_row));
      EXPECT_EQ(pending.id, row.id);
      tokens.back() = pending.token.value_or(0);
    }
    for (const TokenId token : tokens) EXPECT_NE(token, kPendingToken);
    const bool is_long = config.long_context_from > 0 &&
                         static_cast<int64_t>(row.prompt.size() + row.output.size()) > config.long_context_from;
    EXPECT_EQ(row.long_context, is_long);
    const int32_t tag = live.tag ^ (row.long_context ? 1 << 28 : 0);  // what is computed differs
    const int64_t end = row.start + static_cast<int64_t>(tokens.size());
    if (static_cast<int64_t>(live.tokens.size()) < end) live.tokens.push_back(tokens.back());  // after a bad row
    const auto tables = tables_of(row);
    for (size_t g = 0; g < tables.size(); ++g) {
      kv_.write(tokens, row.start, tables[g], tag);
      // What the row's queries see in this group.
      const int64_t window = config.windows[g], first = window == 0 ? 0 : std::max<int64_t>(0, row.start - window + 1);
      const auto seen = kv_.read_range(first, end, tables[g], tag);
      EXPECT_TRUE(std::equal(seen.begin(), seen.end(), live.tokens.begin() + first)) << "group " << g;
    }
    SeqResult result{row.id, std::nullopt, std::nullopt};
    if (row.id == bad) result.finish = Finish::kError;
    if (!row.sample || row.id == bad) return result;
    result.token = mhub::test::fake_next_token(std::span(live.tokens).first(static_cast<size_t>(end)), kVocab);
    if (static_cast<int64_t>(live.tokens.size()) == end) live.tokens.push_back(*result.token);
    if (static_cast<int64_t>(row.output.size()) == live.stop_at) result.finish = Finish::kStop;
    return result;
  }

  SchedulerConfig config;
  Scheduler scheduler;
  std::map<SeqId, std::vector<TokenId>> outputs;
  std::map<SeqId, Finish> finishes;
  int64_t last_batch_tokens = 0;
  std::vector<SeqId> last_ids;
  int steps = 0;
  bool ahead = false;
  SeqId bad = 0;     // its rows have logits that are not finite
  int overruns = 0;  // rows computed for a sequence that had ended by the time they were applied

 private:
  struct Live {
    int64_t stop_at = -1;
    int32_t tag = 0;
    std::vector<TokenId> output;
    std::vector<TokenId> tokens;  // prompt and all that was sampled
  };
  static std::vector<std::span<const BlockId>> tables_of(const ScheduledSeq& row) {
    std::vector<std::span<const BlockId>> tables = {row.block_table};
    tables.insert(tables.end(), row.more_block_tables.begin(), row.more_block_tables.end());
    return tables;
  }
  void check(const ScheduledBatch& batch) {
    int64_t tokens = 0;
    std::set<SeqId> ids;
    std::map<BlockId, int> readers;
    for (const auto& row : batch.seqs) {
      ASSERT_EQ(row.more_block_tables.size() + 1, config.windows.size());
      for (const auto table : tables_of(row)) {
        for (const BlockId block : table) ++readers[block];
      }
    }
    for (const auto& row : batch.seqs) {
      const auto count = static_cast<int64_t>(row.tokens.size());
      tokens += count;
      ASSERT_TRUE(ids.insert(row.id).second);
      ASSERT_GT(count, 0);
      const int64_t end = row.start + count;
      ASSERT_LE(end, static_cast<int64_t>(row.prompt.size() + row.output.size()));
      for (const auto table : tables_of(row)) {
        ASSERT_LE(end, static_cast<int64_t>(table.size()) * config.block_size);
        for (int64_t position = row.start; position < end; ++position) {
          const BlockId block = table[static_cast<size_t>(position / config.block_size)];
          ASSERT_NE(block, kNoBlock);
          ASSERT_EQ(readers[block], 1) << "writes into a shared block";
        }
      }
    }
    ASSERT_EQ(tokens, batch.num_tokens);
    ASSERT_LE(tokens, config.max_num_batched_tokens);
    ASSERT_LE(static_cast<int64_t>(ids.size()), config.max_num_seqs);
  }

  mhub::test::FakeKv kv_;
  std::map<SeqId, Live> live_;
  std::vector<std::vector<SeqResult>> in_flight_;  // oldest first
};

inline std::vector<TokenId> ramp(int64_t count, TokenId first = 1) {
  std::vector<TokenId> tokens;
  for (int64_t i = 0; i < count; ++i) tokens.push_back(first + static_cast<TokenId>(i));
  return tokens;
}

inline SchedulerConfig small_config() {
  SchedulerConfig config;
  config.num_blocks = 64;
  config.block_size = 4;
  config.max_model_len = 128;
  config.max_num_seqs = 8;
  config.max_num_batched_tokens = 16;
  return config;
}

inline NewSequence sequence(SeqId id, std::vector<TokenId> prompt, int64_t max_tokens) {
  NewSequence made;
  made.id = id;
  made.prompt = std::move(prompt);
  made.max_tokens = max_tokens;
  return made;
}

}  // namespace mhub::sched::test
