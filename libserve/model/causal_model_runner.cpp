// SPDX-License-Identifier: Apache-2.0
#include "causal_model_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "mhub/base/bytes.h"
#include "mhub/base/check.h"
#include "sampling/logprobs.h"

namespace mhub::model {

CausalModelRunner::CausalModelRunner(Parts parts)
    : parts_(std::move(parts)), host_visible_(parts_.backend->facts().name == "cpu") {}

kernels::TensorView CausalModelRunner::run(kernels::KvCache& cache) {
  return parts_.model->forward({*parts_.backend, batch_, parts_.workspace, parts_.rope, cache});
}

template <typename Use>
void CausalModelRunner::for_each_logits(kernels::TensorView hidden, std::span<const int32_t> hidden_rows, Use use) {
  const auto vocab = static_cast<size_t>(parts_.config.vocab_size);
  const auto chunk = static_cast<size_t>(parts_.workspace_size.max_logit_rows);
  for (size_t begin = 0; begin < hidden_rows.size(); begin += chunk) {
    const size_t count = std::min(chunk, hidden_rows.size() - begin);
    const auto sampled = parts_.workspace.sampled.rows_at(0, static_cast<int64_t>(count));
    const auto logits = parts_.workspace.logits.rows_at(0, static_cast<int64_t>(count));
    parts_.backend->gather_rows(sampled, hidden, hidden_rows.subspan(begin, count));
    parts_.model->compute_logits(*parts_.backend, logits, sampled);
    for (size_t i = 0; i < count; ++i) {
      float* row = logits.f32_row(static_cast<int64_t>(i));
      if (!host_visible_) {
        host_logits_.resize(vocab);
        parts_.backend->copy_to_host(host_logits_.data(), row, vocab * sizeof(float));
        row = host_logits_.data();
      }
      use(begin + i, std::span<float>(row, vocab));
    }
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
  wanted_rows_.clear();
  for (const auto& wanted : wanted_) wanted_rows_.push_back(wanted.hidden_row);
}

std::vector<RowResult> CausalModelRunner::step(std::span<const StepRow> rows) {
  std::vector<RowResult> results(rows.size());
  if (rows.empty()) return results;
  batch_.clear();
  for (const StepRow& row : rows) {
    MHUB_CHECK(row.first_position + static_cast<int64_t>(row.tokens.size()) <= max_model_len());
    batch_.add(row.tokens, row.first_position, row.block_table, block_size());
  }
  batch_.finish();
  MHUB_CHECK(batch_.num_tokens() <= parts_.workspace_size.max_tokens);
  const auto hidden = run(*parts_.cache);
  collect_wanted(rows);
  for_each_logits(hidden, wanted_rows_, [&](size_t index, std::span<float> logits) {
    const WantedLogits& wanted = wanted_[index];
    const StepRow& row = rows[wanted.step_row];
    RowResult& result = results[wanted.step_row];
    logits = logits.first(static_cast<size_t>(parts_.sampled_vocab));
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
  });
  return results;
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
  std::vector<int32_t> table(static_cast<size_t>((total + block_size() - 1) / block_size()));
  std::iota(table.begin(), table.end(), 0);
  kernels::KvCache& cache = evaluation_cache(static_cast<int64_t>(table.size()));
  std::vector<int32_t> all_rows;
  for (int64_t first = 0; first < total; first += parts_.workspace_size.max_tokens) {
    const int64_t count = std::min(parts_.workspace_size.max_tokens, total - first);
    batch_.clear();
    batch_.add(tokens.subspan(static_cast<size_t>(first), static_cast<size_t>(count)), static_cast<int32_t>(first),
               table, block_size());
    batch_.finish();
    const auto hidden = run(cache);
    all_rows.resize(static_cast<size_t>(count));
    std::iota(all_rows.begin(), all_rows.end(), 0);
    for_each_logits(hidden, all_rows,
                    [&](size_t index, std::span<float> logits) { sink(first + static_cast<int64_t>(index), logits); });
  }
}

}  // namespace mhub::model
