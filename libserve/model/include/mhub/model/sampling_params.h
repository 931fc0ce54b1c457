// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace mhub::model {

// Validated before it reaches the engine (http/sampling_fields). Semantics and order are vLLM's: docs/cli.md section 5.
struct SamplingParams {
  float temperature = 1.0f;  // < 1e-5 = greedy
  float top_p = 1.0f;
  int32_t top_k = 0;         // 0 = off
  float min_p = 0.0f;
  float typical_p = 1.0f;    // 1 = off
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  float repetition_penalty = 1.0f;
  int32_t penalty_window = -1;  // the penalties see the last so many tokens of prompt and output; -1 = all
  std::vector<std::pair<int32_t, float>> logit_bias;
  std::vector<int32_t> allowed_token_ids;        // nothing else is sampled; empty = all are allowed
  std::vector<std::vector<int32_t>> bad_words;   // the last token of each is masked when the others were just sampled
  uint64_t seed = 0;         // always set by the time it is sampled; the draw depends on (seed, output index) only
  int32_t logprobs = -1;     // -1 = none; k >= 0: chosen token's and the k likeliest raw log-probabilities
  std::vector<int32_t> logprob_token_ids;  // when given, their log-probabilities instead of the k likeliest
  int32_t prompt_logprobs = -1;
  int32_t min_tokens = 0;    // EOS and stop ids are masked until that many outputs exist
  int32_t max_tokens = 16;   // 0 = prompt only (echo)
  std::vector<int32_t> stop_token_ids;  // includes the model's EOS ids unless ignore_eos
  bool greedy() const { return temperature < 1e-5f; }
};

struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;
  int32_t rank = 0;  // 1 = likeliest
};
struct PositionLogprobs {
  TokenLogprob chosen;
  std::vector<TokenLogprob> top;
};

}  // namespace mhub::model
