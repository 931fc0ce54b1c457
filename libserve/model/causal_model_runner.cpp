// SPDX-License-Identifier: Apache-2.0
#include "causal_model_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "mhub/base/bytes.h"
#include "mhub/base/check.h"
#include "mhub/model/fixed_blocks.h"
#include "sampling/logprobs.h"

namespace mhub::model {

CausalModelRunner::CausalModelRunner(Parts parts)
    : parts_(std::move(parts)),
      host_visible_(parts_.backend->host_visible()),
      batch_(parts_.kv_groups.windows.size()) {
  const int64_t most = parts_.workspace_size.max_tokens;
  const int64_t padded = std::max(parts_.max_num_seqs, parts_.backend->replay_rows(parts_.max_num_seqs));
  batch_.reserve(most, std::min(padded, most), (max_model_len() + block_size() - 1) / block_size());
  const auto plan = [&](int64_t rows) {
    rows = std::min(rows, most);
    if (rows > 0 && std::find(unprepared_.begin(), unprepared_.end(), rows) == unprepared_.end())
      unprepared_.push_back(rows);
  };
  // Taken from the end: decode steps from one row on, and last the largest step.
  plan(parts_.backend->tuned_rows(most));
  for (int64_t rows = parts_.max_num_seqs; rows > 0; --rows) plan(parts_.backend->tuned_rows(rows));
}

bool CausalModelRunner::prepare_more() {
  if (unprepared_.empty()) return false;
  MHUB_CHECK(num_submitted_ == 0);
  const int64_t rows = unprepared_.back();
  unprepared_.pop_back();
  batch_.fill_with_padding(rows);
  batch_.finish();
  parts_.backend->begin_step(batch_.inputs());
  const auto hidden = run(*parts_.cache);
  const int64_t wanted = std::min(rows, parts_.workspace_size.max_logit_rows);
  const auto logits = parts_.workspace.logits.rows_at(0, wanted);
  parts_.model->compute_logits(*parts_.backend, logits, hidden.rows_at(0, wanted));
  float word = 0;
  parts_.backend->copy_to_host(&word, logits.data, sizeof(word));  // waits
  return !unprepared_.empty();
}

kernels::TensorView CausalModelRunner::run(kernels::KvCache& cache) {
  const RopeTable& local_rope = parts_.local_rope ? *parts_.local_rope : parts_.rope;
  return parts_.model->forward(
      {*parts_.backend, batch_, parts_.workspace, parts_.rope, local_rope, cache, parts_.kv_groups});
}

std::span<float> CausalModelRunner::host_row(kernels::TensorView logits, int64_t row) {
  const auto width = static_cast<size_t>(logits.cols);
  if (host_visible_) return {logits.f32_row(row), width};
  host_logits_.resize(width);
  parts_.backend->copy_to_host(host_logits_.data(), logits.f32_row(row), width * sizeof(float));
  return host_logits_;
}

template <typename Use>
void CausalModelRunner::for_each_logits(kernels::TensorView hidden, std::span<const int32_t> hidden_rows, Use use) {
  const auto chunk = static_cast<size_t>(parts_.workspace_size.max_logit_rows);
  for (size_t begin = 0; begin < hidden_rows.size(); begin += chunk) {
    const size_t count = std::min(chunk, hidden_rows.size() - begin);
    const auto sampled = parts_.workspace.sampled.rows_at(0, static_cast<int64_t>(count));
    const auto logits = parts_.workspace.logits.rows_at(0, static_cast<int64_t>(count));
    parts_.backend->gather_rows(sampled, hidden, hidden_rows.subspan(begin, count));
    parts_.model->compute_logits(*parts_.backend, logits, sampled);
    use(begin, logits);
  }
}

void CausalModelRunner::collect_wanted(std::span<const StepRow> rows) {
  wanted_.clear();
  int32_t first = 0;
  for (size_t r = 0; r < rows.size(); ++r) {
    const auto count = static_cast<int32_t>(rows[r].tokens.size());
    if (rows[r].want_prompt_logprobs) {
      MHUB_CHECK(rows[r].next_tokens.size() == rows[r].tokens.size() && rows[r].params != nullptr);
      for (int32_t i = 0; i < count; ++i) {
        const int32_t next = rows[r].next_tokens[static_cast<size_t>(i)];
        if (next >= 0) wanted_.push_back({first + i, r, next});
      }
    }
    first += count;
    if (rows[r].sample) wanted_.push_back({first - 1, r, -1});
  }
  for (const auto& wanted : wanted_) batch_.logit_rows.push_back(wanted.hidden_row);
}

void CausalModelRunner::use_host_logits(const WantedLogits& wanted, std::span<float> logits, const StepRow& row,
                                        RowResult& result) {
  if (wanted.next_token < 0) {
    RowResult sampled = sampler_.sample(logits, row);
    sampled.prompt_logprobs = std::move(result.prompt_logprobs);
    sampled.non_finite = sampled.non_finite || result.non_finite;
    result = std::move(sampled);
    return;
  }
  const RowMax max = row_max(logits);
  if (!max.finite || static_cast<size_t>(wanted.next_token) >= logits.size()) {
    result.non_finite = true;
    return;
  }
  result.prompt_logprobs.push_back(position_logprobs(logits, max, wanted.next_token, row.params->prompt_logprobs));
}

void CausalModelRunner::use_logits(size_t first, kernels::TensorView logits, std::span<const StepRow> rows,
                                   std::span<RowResult> results) {
  logits = logits.cols_at(0, parts_.sampled_vocab);
  const auto on_device = [&](const WantedLogits& wanted) {
    return wanted.next_token < 0 && Sampler::reads_logits_alone(rows[wanted.step_row]);
  };
  const auto count = static_cast<size_t>(logits.rows);
  const auto wanted = std::span(wanted_).subspan(first, count);
  bool drawn = false;
  if (!host_visible_ && std::any_of(wanted.begin(), wanted.end(), on_device)) {
    specs_.assign(count, {});
    for (size_t i = 0; i < count; ++i) {
      if (on_device(wanted[i])) specs_[i] = Sampler::spec_of(rows[wanted[i].step_row]);
    }
    sampled_.resize(count);
    drawn = parts_.backend->sample(sampled_, logits, specs_);
  }
  for (size_t i = 0; i < count; ++i) {
    RowResult& result = results[wanted[i].step_row];
    if (!drawn || !on_device(wanted[i])) {
      use_host_logits(wanted[i], host_row(logits, static_cast<int64_t>(i)), rows[wanted[i].step_row], result);
    } else if (sampled_[i] >= 0) {
      result.token = sampled_[i];
    } else {
      result.non_finite = true;
    }
  }
}

bool CausalModelRunner::runs_ahead(const SamplingParams& params) const {
  return parts_.backend->draws_ahead() && Sampler::reads_logits_alone(params);
}

void CausalModelRunner::fill_batch(std::span<const StepRow> rows, const Submitted& before) {
  batch_.clear();
  for (const StepRow& row : rows) {
    MHUB_CHECK(row.first_position + static_cast<int64_t>(row.tokens.size()) <= max_model_len());
    batch_.add(row.tokens, row.first_position, row.block_table, block_size(), row.more_block_tables,
               rope_shift(row.long_context));
    if (row.pending_row < 0) continue;
    const int32_t source = before.draw_of.at(static_cast<size_t>(row.pending_row));
    MHUB_CHECK(num_submitted_ > 0 && before.drawn && source >= 0);
    batch_.take_last_token(source);
  }
}

bool CausalModelRunner::plan_draws(std::span<const StepRow> rows, Submitted& step) {
  if (!parts_.backend->draws_ahead()) return false;
  step.drawn_rows.clear();
  step.draw_of.assign(rows.size(), -1);
  for (const auto& wanted : wanted_) {
    if (wanted.next_token >= 0 || !Sampler::reads_logits_alone(rows[wanted.step_row])) return false;
    step.draw_of[wanted.step_row] = static_cast<int32_t>(step.drawn_rows.size());
    step.drawn_rows.push_back(wanted.step_row);
  }
  for (const size_t row : step.drawn_rows) batch_.samples.push_back(Sampler::spec_of(rows[row]));
  return true;
}

void CausalModelRunner::submit(std::span<const StepRow> rows) {
  MHUB_CHECK(num_submitted_ < submitted_.size());
  Submitted& step = submitted_[(oldest_ + num_submitted_) % submitted_.size()];
  step.results.resize(rows.size());
  for (RowResult& result : step.results) result = {};
  step.drawn = false;
  if (!rows.empty()) {
    fill_batch(rows, submitted_[oldest_]);
    collect_wanted(rows);
    step.drawn = plan_draws(rows, step);
    run_step(rows, step);
  }
  ++num_submitted_;
}

void CausalModelRunner::run_step(std::span<const StepRow> rows, Submitted& step) {
  // One token a sequence, each followed by sampling: such steps repeat.
  const bool decode = wanted_.size() == rows.size() && batch_.num_tokens() == static_cast<int64_t>(rows.size()) &&
                      std::all_of(rows.begin(), rows.end(), [](const StepRow& row) { return row.sample; });
  kernels::Backend& backend = *parts_.backend;
  const int64_t padded = decode ? backend.replay_rows(batch_.num_tokens()) : 0;
  if (padded > 0) batch_.pad(padded);
  batch_.finish();
  MHUB_CHECK(batch_.num_tokens() <= parts_.workspace_size.max_tokens);
  backend.begin_step(batch_.inputs());
  const auto use = [&](size_t first, kernels::TensorView logits) {
    if (step.drawn)
      backend.draw(static_cast<int64_t>(first), logits.cols_at(0, parts_.sampled_vocab));
    else
      use_logits(first, logits, rows, step.results);
  };
  if (padded > 0) {
    const auto logits = parts_.workspace.logits.rows_at(0, padded);
    // No more captures than fit a std::function without the heap.
    backend.replay(0, [this, &logits] { parts_.model->compute_logits(*parts_.backend, logits, run(*parts_.cache)); });
    use(0, logits.rows_at(0, static_cast<int64_t>(rows.size())));
  } else {
    for_each_logits(run(*parts_.cache), batch_.logit_rows, use);
  }
  if (step.drawn) backend.end_step();
}

void CausalModelRunner::collect(std::vector<RowResult>& results) {
  MHUB_CHECK(num_submitted_ > 0);
  Submitted& step = submitted_[oldest_];
  if (step.drawn) {
    sampled_.resize(step.drawn_rows.size());
    parts_.backend->collect_step(sampled_);
    for (size_t i = 0; i < sampled_.size(); ++i) {
      RowResult& result = step.results[step.drawn_rows[i]];
      result.non_finite = sampled_[i] < 0;
      if (!result.non_finite) result.token = sampled_[i];
    }
  }
  results.swap(step.results);
  oldest_ = (oldest_ + 1) % submitted_.size();
  --num_submitted_;
}

kernels::KvCache& CausalModelRunner::evaluation_cache(int64_t blocks) {
  if (evaluation_cache_ && evaluation_blocks_ >= blocks) return *evaluation_cache_;
  evaluation_cache_.reset();
  kernels::KvShape shape = parts_.kv_shape;
  shape.num_blocks = blocks;
  evaluation_cache_ = parts_.backend->make_kv_cache(shape, parts_.kv_dtype);
  if (!evaluation_cache_) {
    throw kernels::BackendError(
        fmt::format("{} of KV cache for an evaluation could not be allocated",
                    human_bytes(static_cast<uint64_t>(blocks) * shape.block_bytes(parts_.kv_dtype))));
  }
  evaluation_blocks_ = blocks;
  return *evaluation_cache_;
}

void CausalModelRunner::forward_logits(std::span<const int32_t> tokens,
                                       const std::function<void(int64_t, std::span<const float>)>& sink) {
  const auto total = static_cast<int64_t>(tokens.size());
  MHUB_CHECK(total <= max_model_len());
  if (total == 0) return;
  const FixedBlocks blocks(kv_windows().size(), block_size(), total);
  kernels::KvCache& cache = evaluation_cache(blocks.count());
  std::vector<int32_t> all_rows;
  for (int64_t first = 0; first < total; first += parts_.workspace_size.max_tokens) {
    const int64_t count = std::min(parts_.workspace_size.max_tokens, total - first);
    batch_.clear();
    batch_.add(tokens.subspan(static_cast<size_t>(first), static_cast<size_t>(count)), static_cast<int32_t>(first),
               blocks.table(), block_size(), blocks.more_tables(),
               rope_shift(long_context_from() > 0 && total > long_context_from()));
    batch_.finish();
    parts_.backend->begin_step(batch_.inputs());
    const auto hidden = run(cache);
    all_rows.resize(static_cast<size_t>(count));
    std::iota(all_rows.begin(), all_rows.end(), 0);
    for_each_logits(hidden, all_rows, [&](size_t begin, kernels::TensorView logits) {
      for (int64_t row = 0; row < logits.rows; ++row)
        sink(first + static_cast<int64_t>(begin) + row, host_row(logits, row));
    });
  }
}

}  // namespace mhub::model
