// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "mhub/model/backend_choice.h"
#include "mhub/model/model_runner.h"

namespace mhub::model {

inline RunnerOptions float32_options(const std::filesystem::path& model) {
  RunnerOptions options;
  options.model = model;
  options.dtype = "float32";
  options.max_num_seqs = 8;
  options.max_num_batched_tokens = 256;
  return options;
}

inline Result<std::unique_ptr<LoadedModel>> try_load(const RunnerOptions& options) {
  MHUB_TRY(const auto compute, compute_for_dtype(options.dtype));
  kernels::BackendOptions backend_options;
  backend_options.compute = compute;
  backend_options.half_dtype = half_dtype(options.dtype);
  // Where the reference results are to be reproduced: "cpu", or "cuda" with MHUB_BACKEND_PATH.
  const char* device = std::getenv("MHUB_TEST_DEVICE");
  const char* library = std::getenv("MHUB_BACKEND_PATH");
  MHUB_TRY(auto backend, make_backend(device ? device : "cpu", backend_options, library ? library : ""));
  return LoadedModel::load(std::move(backend), options);
}

inline std::unique_ptr<LoadedModel> load(const RunnerOptions& options) {
  auto model = try_load(options);
  if (!model) throw std::runtime_error(model.error().one_line());
  return *std::move(model);
}

// All logits of a sequence, [tokens, vocab_size].
inline std::vector<std::vector<float>> all_logits(LoadedModel& model, std::span<const int32_t> tokens) {
  std::vector<std::vector<float>> rows(tokens.size());
  model.forward_logits(tokens, [&](int64_t position, std::span<const float> logits) {
    rows[static_cast<size_t>(position)].assign(logits.begin(), logits.end());
  });
  return rows;
}

// A sequence as an engine would hold it: tokens, block table, parameters.
struct Sequence {
  std::vector<int32_t> prompt, output, blocks;
  SamplingParams params;
  int32_t computed = 0;
  bool long_context = false;

  std::vector<int32_t> tokens() const {
    std::vector<int32_t> all = prompt;
    all.insert(all.end(), output.begin(), output.end());
    return all;
  }
};

inline SamplingParams greedy_params() {
  SamplingParams params;
  params.temperature = 0;
  return params;
}

// Blocks first, first + stride, ... for `tokens` positions.
inline std::vector<int32_t> block_table(const ModelRunner& model, int64_t tokens, int32_t first = 0,
                                        int32_t stride = 1) {
  std::vector<int32_t> table(static_cast<size_t>((tokens + model.block_size() - 1) / model.block_size()));
  for (size_t i = 0; i < table.size(); ++i) table[i] = first + static_cast<int32_t>(i) * stride;
  return table;
}

// A table of blocks as one for each group of layers, none in two.
inline std::vector<std::vector<int32_t>> tables_by_group(const ModelRunner& model, const std::vector<int32_t>& blocks) {
  std::vector<std::vector<int32_t>> tables(model.kv_windows().size());
  for (size_t g = 0; g < tables.size(); ++g) {
    for (const int32_t block : blocks)
      tables[g].push_back(block * static_cast<int32_t>(tables.size()) + static_cast<int32_t>(g));
  }
  return tables;
}

// Steps one sequence until it has `count` outputs; the prompt in chunks of `chunk` tokens.
inline std::vector<int32_t> generate(ModelRunner& model, Sequence& sequence, int count, int32_t chunk = 1 << 20) {
  while (static_cast<int>(sequence.output.size()) < count) {
    const std::vector<int32_t> tokens = sequence.tokens();
    const auto total = static_cast<int32_t>(tokens.size());
    const int32_t end = std::min(total, sequence.computed + chunk);
    StepRow row;
    row.tokens =
        std::span(tokens).subspan(static_cast<size_t>(sequence.computed), static_cast<size_t>(end - sequence.computed));
    row.first_position = sequence.computed;
    const auto tables = tables_by_group(model, sequence.blocks);
    const std::vector<std::span<const int32_t>> more(tables.begin() + 1, tables.end());
    row.block_table = tables[0];
    row.more_block_tables = more;
    row.long_context = sequence.long_context;
    row.sample = end == total;
    row.params = &sequence.params;
    row.prompt = sequence.prompt;
    row.output = sequence.output;
    const auto results = model.step({&row, 1});
    sequence.computed = end;
    if (row.sample) sequence.output.push_back(results.at(0).token.value());
  }
  return sequence.output;
}

}  // namespace mhub::model
