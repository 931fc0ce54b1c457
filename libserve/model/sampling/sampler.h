// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "mhub/model/model_runner.h"
#include "sampling/race.h"
#include "sampling/vector_math.h"

namespace mhub::model {

// Turns one row of logits into a token. Order: the constraint's mask, raw log-probabilities, allowed ids and
// bad words, min_tokens mask, logit_bias, repetition, frequency and presence penalties, greedy; else temperature,
// min_p, top_k, typical_p, top_p, exponential race. Keeps scratch memory.
class Sampler {
 public:
  // logits (of the ids that may be sampled) are changed in place. Uses row.params, prompt and output.
  // The result has a token (and logprobs, when asked for), or non_finite, or nothing_allowed.
  RowResult sample(std::span<float> logits, const StepRow& row);
  // Whether the token depends on nothing but the row's logits and spec_of(row), and nothing else is asked for.
  static bool reads_logits_alone(const StepRow& row);
  // The same for every row of a request.
  static bool reads_logits_alone(const SamplingParams& params);
  static kernels::SampleSpec spec_of(const StepRow& row);

 private:
  void apply_bans(std::span<float> logits, const StepRow& row);
  void apply_bias_and_penalties(std::span<float> logits, const StepRow& row);
  void apply_penalties(std::span<float> logits, const StepRow& row);
  int32_t draw(std::span<const float> logits, const RowMax& max, const StepRow& row);

  std::vector<float> raw_, weights_, selection_;
  std::vector<Candidate> candidates_;
  std::vector<std::pair<int32_t, float>> kept_;
  std::vector<uint32_t> occurrences_;  // per token: output count, and kInPrompt; all zero between calls
  std::vector<int32_t> touched_;
};

}  // namespace mhub::model
