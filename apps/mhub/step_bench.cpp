// SPDX-License-Identifier: Apache-2.0
#include "step_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <random>

namespace mhub::apps {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double quantile(std::vector<double> values, double q) {
  const auto at = static_cast<int64_t>(q * static_cast<double>(values.size() - 1) + 0.5);
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<size_t>(at)];
}

std::vector<int32_t> random_tokens(int64_t count, int64_t vocab, uint32_t seed) {
  std::mt19937 rng(seed);
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int32_t& token : tokens) token = static_cast<int32_t>(rng() % static_cast<uint32_t>(vocab));
  return tokens;
}

}  // namespace

double measure_copy_bandwidth(kernels::Backend& backend) {
  constexpr int64_t kCols = 65536;
  constexpr int kRounds = 5;
  const bool device = !backend.host_visible();
  const int64_t rows = device ? 16384 : 512;  // well beyond any cache
  const auto dtype = backend.activation_dtype();
  const uint64_t bytes = static_cast<uint64_t>(rows * kCols) * kernels::dtype_info(dtype).block_bytes;
  const auto from = backend.allocate(bytes), to = backend.allocate(bytes);
  if (!from || !to) return 0;
  const kernels::TensorView source{from->data(), dtype, rows, kCols, kCols},
      target{to->data(), dtype, rows, kCols, kCols};
  std::vector<int32_t> order(static_cast<size_t>(rows));
  std::iota(order.begin(), order.end(), 0);
  float word = 0;
  const auto wait = [&] { backend.copy_to_host(&word, to->data(), sizeof(word)); };
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    wait();
    const auto begin = Clock::now();
    backend.gather_rows(target, source, order);
    wait();
    best = std::max(best, 2 * static_cast<double>(bytes) / seconds_since(begin));
  }
  return best;
}

StepBench::StepBench(model::LoadedModel& model, int64_t prompt_tokens) : model_(model), prompt_tokens_(prompt_tokens) {
  greedy_.temperature = 0;
}

model::FixedBlocks StepBench::blocks_of(int64_t sequence) const {
  const size_t groups = model_.kv_windows().size();
  const int64_t each = model::FixedBlocks(groups, model_.block_size(), sequence_tokens_).count();
  return {groups, model_.block_size(), sequence_tokens_, sequence * each};
}

void StepBench::fill(int64_t batch) {
  for (; filled_ < batch; ++filled_) {
    const auto tokens = random_tokens(prompt_tokens_, model_.vocab_size(), static_cast<uint32_t>(filled_));
    const auto blocks = blocks_of(filled_);
    constexpr int64_t kChunk = 1024;
    for (int64_t first = 0; first < prompt_tokens_; first += kChunk) {
      model::StepRow row;
      row.tokens = std::span(tokens).subspan(static_cast<size_t>(first),
                                             static_cast<size_t>(std::min(kChunk, prompt_tokens_ - first)));
      row.first_position = static_cast<int32_t>(first);
      row.block_table = blocks.table();
      row.more_block_tables = blocks.more_tables();
      row.params = &greedy_;
      model_.step({&row, 1});
    }
  }
}

Result<StepTimes> StepBench::decode(int64_t batch, int64_t steps) {
  const int64_t length = prompt_tokens_ + kWarmup + steps;
  if (sequence_tokens_ != length) filled_ = 0;
  sequence_tokens_ = length;
  if (const int64_t blocks = batch * blocks_of(0).count(); blocks > model_.num_blocks()) {
    return Error{ErrorCode::kUsage,
                 fmt::format("{} sequences of {} tokens need {} KV blocks, the cache has {}", batch, length, blocks,
                             model_.num_blocks()),
                 "lower --batch or --prompt-tokens", "batch"};
  }
  fill(batch);
  std::vector<model::FixedBlocks> tables;
  for (int64_t s = 0; s < batch; ++s) tables.push_back(blocks_of(s));
  std::vector<int32_t> last(static_cast<size_t>(batch), 1);
  std::vector<double> times;
  std::vector<model::StepRow> rows(static_cast<size_t>(batch));
  std::vector<model::RowResult> results;
  const bool ahead = model_.runs_ahead(greedy_);  // then a step is submitted before the one before is collected
  const auto submit = [&](int64_t step, bool pending) {
    for (size_t s = 0; s < rows.size(); ++s) {
      rows[s].tokens = {&last[s], 1};
      rows[s].pending_row = pending ? static_cast<int32_t>(s) : -1;
      rows[s].first_position = static_cast<int32_t>(prompt_tokens_ + step);
      rows[s].block_table = tables[s].table();
      rows[s].more_block_tables = tables[s].more_tables();
      rows[s].sample = true;
      rows[s].params = &greedy_;
    }
    model_.submit(rows);
  };
  const int64_t total = kWarmup + steps;
  auto begin = Clock::now();
  for (int64_t step = 0; step < total; ++step) {
    if (!ahead || step == 0) submit(step, false);
    if (ahead && step + 1 < total) submit(step + 1, true);
    model_.collect(results);
    for (size_t s = 0; s < rows.size(); ++s) last[s] = results[s].token.value_or(0);
    if (step >= kWarmup) times.push_back(seconds_since(begin));
    begin = Clock::now();
  }
  StepTimes result;
  result.median = quantile(times, 0.5);
  result.p99 = quantile(times, 0.99);
  const auto& plan = model_.plan();
  const auto& config = model_.config();
  const auto kv_per_position = plan.kv_bytes / static_cast<uint64_t>(plan.num_blocks * plan.block_size);
  int64_t positions = 0;  // read for one sequence, over all groups of layers
  for (const int64_t window : model_.kv_windows()) {
    const int64_t context = prompt_tokens_ + kWarmup + steps / 2;
    positions += window == 0 ? context : std::min(window, context);
  }
  uint64_t weights = plan.weights_bytes;
  if (!config.tie_word_embeddings) {  // of the table only the batch's rows are read
    const auto elements = static_cast<uint64_t>(config.vocab_size * config.hidden_size);
    weights -= std::min(weights, elements * (plan.compute == "float32" ? 4 : 2));
  }
  result.bytes_read = weights + static_cast<uint64_t>(batch * positions) * kv_per_position;
  return result;
}

Result<double> StepBench::prefill(int64_t tokens, int64_t chunk) {
  constexpr int kRounds = 5;
  filled_ = 0;  // overwrites the sequences' blocks
  sequence_tokens_ = tokens;
  const auto blocks = blocks_of(0);
  if (blocks.count() > model_.num_blocks() || tokens > model_.max_model_len()) {
    return Error{ErrorCode::kUsage, fmt::format("a prompt of {} tokens does not fit the KV cache", tokens),
                 "lower --prefill", "prefill"};
  }
  const auto prompt = random_tokens(tokens, model_.vocab_size(), 99);
  std::vector<double> times;
  for (int round = 0; round <= kRounds; ++round) {
    const auto begin = Clock::now();
    for (int64_t first = 0; first < tokens; first += chunk) {
      model::StepRow row;
      row.tokens =
          std::span(prompt).subspan(static_cast<size_t>(first), static_cast<size_t>(std::min(chunk, tokens - first)));
      row.first_position = static_cast<int32_t>(first);
      row.block_table = blocks.table();
      row.more_block_tables = blocks.more_tables();
      row.params = &greedy_;
      row.sample = first + chunk >= tokens;
      model_.step({&row, 1});
    }
    if (round > 0) times.push_back(seconds_since(begin));
  }
  return quantile(times, 0.5);
}

}  // namespace mhub::apps
