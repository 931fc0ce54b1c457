// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/constraint/spec.h"
#include "mhub/model/sampling_params.h"

namespace mhub::engine {

using TokenId = int32_t;
using RequestId = uint64_t;
using model::PositionLogprobs;
using model::SamplingParams;

// One sequence to generate. n > 1 is n requests made by the caller (they share the prompt through the prefix cache).
struct GenerationRequest {
  std::vector<TokenId> prompt;
  SamplingParams params;
  int priority = 0;
  std::string cache_scope;
  constraint::Spec constraint;  // the form that the text of the answer must have
};

enum class FinishReason { kStop, kLength, kError };

// What one step gave to one request.
struct TokenDelta {
  std::vector<TokenId> tokens;                    // usually one; several when the reader was slow
  std::vector<PositionLogprobs> logprobs;         // parallel to tokens when asked for
  std::vector<PositionLogprobs> prompt_logprobs;  // once, with the first delta, one per prompt token after the first
  std::optional<FinishReason> finish;             // last delta
  std::optional<TokenId> stop_token;              // the stop id that ended it (already in tokens)
  std::optional<Error> error;                     // with finish = kError
  int64_t cached_tokens = 0;                      // prompt tokens that came from the prefix cache (first delta)
};

// The answer of one request as it arrives. Move-only; dropping it before the end cancels the request (its blocks are
// free by the next step).
class TokenStream {
 public:
  virtual ~TokenStream() = default;
  // Waits up to `timeout` for the next delta; nullopt on timeout. After the delta with `finish` none follows.
  virtual std::optional<TokenDelta> next(std::chrono::milliseconds timeout) = 0;
};

struct EngineStats {
  int64_t running = 0, waiting = 0;
  int64_t num_blocks = 0, blocks_held = 0, block_size = 0;
  uint64_t preemptions = 0;
  uint64_t prefix_queries_tokens = 0, prefix_hit_tokens = 0;
  uint64_t prompt_tokens = 0, generation_tokens = 0;
  uint64_t steps = 0;
  double last_step_age_seconds = 0;  // since the last finished step while work is pending; 0 when idle
};

struct ModelInfo {
  std::string architecture;
  int64_t vocab_size = 0, max_model_len = 0;
  std::vector<int64_t> kv_windows = {0};  // of the groups of layers (mhub/base/kv_blocks.h)
  uint64_t weights_bytes = 0, kv_bytes = 0, workspace_bytes = 0, resident_bytes = 0;
  std::string device, kv_dtype, compute;
  std::vector<TokenId> eos_token_ids;
  std::vector<std::string> notices;  // one-line remarks for the log (max_model_len lowered, ...)
};

// The seam between front and engine: values only. Implementations: Engine (in this process), WorkerClient (the engine
// worker process). Thread-safe.
class Generator {
 public:
  virtual ~Generator() = default;
  // Errors: kContextTooLong and kInvalidRequest (never admissible), kOverloaded (queue full), kUnavailable (no worker,
  // draining).
  virtual Result<std::unique_ptr<TokenStream>> submit(GenerationRequest request) = 0;
  virtual EngineStats stats() const = 0;
  virtual const ModelInfo& info() const = 0;
  // True while a step could be taken (design section 4, readiness is progress).
  virtual bool ready() const = 0;
};

}  // namespace mhub::engine
