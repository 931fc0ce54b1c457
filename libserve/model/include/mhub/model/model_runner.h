// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/formats/model_config.h"
#include "mhub/kernels/backend.h"
#include "mhub/model/option_limits.h"
#include "mhub/model/sampling_params.h"

namespace mhub::model {

// One sequence's share of a step. Borrowed for the call.
struct StepRow {
  std::span<const int32_t> tokens;  // the tokens to compute now: positions first_position ...
  // Row of the step submitted before whose sampled token tokens.back() is; -1 = tokens.back() is known.
  int32_t pending_row = -1;
  int32_t first_position = 0;
  std::span<const int32_t> block_table;  // covers first_position + tokens.size() positions
  // Those of the groups of layers after the first (kv_windows()). Blocks behind a group's window may be -1.
  std::span<const std::span<const int32_t>> more_block_tables;
  bool long_context = false;  // the sequence has more tokens than long_context_from(): all its steps say so
  bool sample = false;        // sample after the last token of this row
  const SamplingParams* params = nullptr;
  std::span<const uint32_t> allowed;  // bit per token id that a constraint leaves; empty = all
  std::span<const int32_t> prompt;  // whole prompt (penalties)
  std::span<const int32_t> output;  // tokens generated so far (penalties, seed index)
  // Prompt logprobs: for each token of this row, log-probabilities of the token that FOLLOWS it, when
  // want_prompt_logprobs; next_tokens[i] is that token (-1 at the end).
  bool want_prompt_logprobs = false;
  std::span<const int32_t> next_tokens;
};

struct RowResult {
  std::optional<int32_t> token;  // set when sampled
  std::optional<PositionLogprobs> logprobs;
  std::vector<PositionLogprobs> prompt_logprobs;  // one per token of the row whose next token is not -1, in order
  bool non_finite = false;                        // logits were NaN or all -inf: the request must end with an error
  bool nothing_allowed = false;                   // masks and bans of the request left no token: it must end so
};

// Seam between the engine and a model on a device.
class ModelRunner {
 public:
  virtual ~ModelRunner() = default;
  // Starts a step. Steps run in the order in which they were submitted.
  virtual void submit(std::span<const StepRow> rows) = 0;
  // Waits for the oldest step that was not collected. The vector's memory is used again.
  virtual void collect(std::vector<RowResult>& results) = 0;
  // Whether a next step may be submitted before one with rows of such parameters is collected; at most one may. Where
  // it says no, submit() may be as slow as the step.
  virtual bool runs_ahead(const SamplingParams& params) const = 0;
  // Does a piece of what the first steps of their kind would do otherwise, some 100 ms at most; for idle times, while
  // nothing is submitted. False: nothing is left to do.
  virtual bool prepare_more() { return false; }
  // submit() and collect().
  std::vector<RowResult> step(std::span<const StepRow> rows) {
    std::vector<RowResult> results;
    submit(rows);
    collect(results);
    return results;
  }
  virtual int64_t num_blocks() const = 0;
  virtual int64_t block_size() const = 0;
  // Groups of layers that have block tables of their own (mhub/base/kv_blocks.h): positions that a query sees, 0 = all.
  virtual const std::vector<int64_t>& kv_windows() const = 0;
  // Sequences of more tokens are another computation, from their first token on (longrope); 0 = they are not.
  virtual int64_t long_context_from() const = 0;
  virtual int64_t vocab_size() const = 0;
  virtual int64_t max_model_len() const = 0;
};

enum class LoadFormat { kAuto, kDummy };

struct RunnerOptions {
  std::filesystem::path model;  // directory or GGUF file
  LoadFormat load_format = LoadFormat::kAuto;
  std::string dtype = "auto";  // auto|half|float16|bfloat16|float|float32
  int64_t block_size = kBlockSize.standard;
  int64_t max_model_len = 0;  // 0 = the model's own, lowered to what the KV pool holds
  int64_t max_num_seqs = kMaxNumSeqs.standard;
  int64_t max_num_batched_tokens = kMaxNumBatchedTokens.standard;
  uint64_t kv_cache_memory_bytes = 0;  // 0 = from gpu_memory_utilization
  // Share of device memory for weights + workspace + KV.
  double gpu_memory_utilization = kGpuMemoryUtilization.standard;
  uint64_t seed = 0;          // of dummy weights
  int64_t sampled_vocab = 0;  // ids below it may be sampled and reported (config.vocab_size is padded); 0 = all
};

// What was planned and loaded, for logs, /metrics and `mhub plan`. Bytes.
struct MemoryPlan {
  uint64_t weights_bytes = 0, workspace_bytes = 0, kv_bytes = 0;
  uint64_t rope_bytes = 0;
  uint64_t device_bytes =
      0;  // what the device's driver says that loading took; 0 where weights share the host's memory
  int64_t num_blocks = 0, block_size = 0, max_model_len = 0;
  std::vector<int64_t> kv_windows = {0};  // of the groups of layers; a block holds one group's
  int64_t long_context_from = 0;          // ModelRunner::long_context_from()
  bool max_model_len_lowered = false;
  bool weights_expanded = false;  // quantized weights take more memory here than in their file
  std::string kv_dtype, device, compute;
};

// A loaded causal language model on one back end.
class LoadedModel : public ModelRunner {
 public:
  // Errors: kBadModel (missing, surplus or misshapen tensor by name; unsupported architecture), kDevice (with the
  // arithmetic when the memory does not hold weights + one sequence of max_model_len), kUsage (an option out of range).
  // The back end's Compute must be compute_for_dtype(options.dtype) (backend_choice.h).
  static Result<std::unique_ptr<LoadedModel>> load(std::unique_ptr<kernels::Backend> backend,
                                                   const RunnerOptions& options);
  virtual const formats::ModelConfig& config() const = 0;
  virtual const MemoryPlan& plan() const = 0;
  // Full logits of every position of one token sequence of at most max_model_len, row by row. For evaluation: it has a
  // KV cache of its own, so running sequences are not disturbed. Throws BackendError when that does not fit.
  virtual void forward_logits(std::span<const int32_t> tokens,
                              const std::function<void(int64_t position, std::span<const float> logits)>& sink) = 0;
};

}  // namespace mhub::model
