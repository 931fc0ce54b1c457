// SPDX-License-Identifier: Apache-2.0
#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "mhub/base/check.h"
#include "sampling/candidates.h"
#include "sampling/logprobs.h"

namespace mhub::model {
namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();
constexpr uint32_t kInPrompt = 1u << 31;

bool has_penalties(const SamplingParams& p) {
  return p.repetition_penalty != 1.0f || p.frequency_penalty != 0.0f || p.presence_penalty != 0.0f;
}
bool below_min_tokens(const StepRow& row) {
  return static_cast<int64_t>(row.output.size()) < row.params->min_tokens;
}
// Whatever the row.
bool always_changes_logits(const SamplingParams& p) {
  return has_penalties(p) || !p.logit_bias.empty() || !p.allowed_token_ids.empty() || !p.bad_words.empty() ||
         p.typical_p < 1.0f;
}
bool changes_logits(const StepRow& row) {
  return always_changes_logits(*row.params) || below_min_tokens(row) || !row.allowed.empty();
}

void keep_only(std::span<float> logits, std::span<const uint32_t> allowed) {
  for (size_t first = 0; first < logits.size(); first += 32) {
    const uint32_t bits = first / 32 < allowed.size() ? allowed[first / 32] : 0;
    if (bits == ~0u) continue;
    const size_t count = std::min<size_t>(32, logits.size() - first);
    for (size_t i = 0; i < count; ++i) logits[first + i] = (bits >> i & 1u) != 0 ? logits[first + i] : kMasked;
  }
}

}  // namespace

bool Sampler::reads_logits_alone(const StepRow& row) {
  return row.params->logprobs < 0 && !changes_logits(row);
}

bool Sampler::reads_logits_alone(const SamplingParams& params) {
  return params.logprobs < 0 && params.prompt_logprobs < 0 && params.min_tokens <= 0 && !always_changes_logits(params);
}

kernels::SampleSpec Sampler::spec_of(const StepRow& row) {
  const SamplingParams& params = *row.params;
  kernels::SampleSpec spec;
  if (params.greedy()) return spec;
  spec.temperature = params.temperature;
  spec.top_k = params.top_k;
  spec.top_p = params.top_p;
  spec.min_p = params.min_p;
  spec.race_key = ExponentialRace(params.seed, row.output.size()).key();
  return spec;
}

RowResult Sampler::sample(std::span<float> logits, const StepRow& row) {
  MHUB_CHECK(row.params != nullptr && !logits.empty());
  const SamplingParams& params = *row.params;
  RowResult result;
  RowMax raw_max = row_max(logits);
  if (!raw_max.finite) {
    result.non_finite = true;
    return result;
  }
  if (!row.allowed.empty()) {
    keep_only(logits, row.allowed);
    raw_max = row_max(logits);
    if (!raw_max.finite) {
      result.nothing_allowed = true;
      return result;
    }
  }
  std::span<const float> raw = logits;
  RowMax max = raw_max;
  if (changes_logits(row)) {
    if (params.logprobs >= 0) {
      raw_.assign(logits.begin(), logits.end());
      raw = raw_;
    }
    apply_bans(logits, row);
    apply_bias_and_penalties(logits, row);
    max = row_max(logits);
    if (!max.finite) {
      result.nothing_allowed = true;
      return result;
    }
  }
  result.token = params.greedy() ? first_equal(logits, max.value) : draw(logits, max, row);
  if (params.logprobs < 0) return result;
  result.logprobs = params.logprob_token_ids.empty()
                        ? position_logprobs(raw, raw_max, *result.token, params.logprobs)
                        : position_logprobs(raw, raw_max, *result.token, params.logprob_token_ids);
  return result;
}

void Sampler::apply_bans(std::span<float> logits, const StepRow& row) {
  const SamplingParams& params = *row.params;
  const auto known = [&](int32_t token) { return token >= 0 && static_cast<size_t>(token) < logits.size(); };
  if (!params.allowed_token_ids.empty()) {
    kept_.clear();
    for (const int32_t token : params.allowed_token_ids) {
      if (known(token)) kept_.emplace_back(token, logits[static_cast<size_t>(token)]);
    }
    std::fill(logits.begin(), logits.end(), kMasked);
    for (const auto& [token, logit] : kept_) logits[static_cast<size_t>(token)] = logit;
  }
  for (const auto& word : params.bad_words) {
    const auto before = std::span(word).first(word.size() - 1);
    if (before.size() > row.output.size() || !known(word.back())) continue;
    const auto recent = row.output.last(before.size());
    if (std::equal(before.begin(), before.end(), recent.begin())) logits[static_cast<size_t>(word.back())] = kMasked;
  }
}

void Sampler::apply_bias_and_penalties(std::span<float> logits, const StepRow& row) {
  const SamplingParams& params = *row.params;
  const auto known = [&](int32_t token) { return token >= 0 && static_cast<size_t>(token) < logits.size(); };
  for (const auto& [token, bias] : params.logit_bias) {
    if (known(token)) logits[static_cast<size_t>(token)] += bias;
  }
  if (below_min_tokens(row)) {
    for (const int32_t token : params.stop_token_ids) {
      if (known(token)) logits[static_cast<size_t>(token)] = kMasked;
    }
  }
  if (has_penalties(params)) apply_penalties(logits, row);
}

void Sampler::apply_penalties(std::span<float> logits, const StepRow& row) {
  const SamplingParams& params = *row.params;
  occurrences_.resize(std::max(occurrences_.size(), logits.size()), 0);
  touched_.clear();
  const auto count = [&](std::span<const int32_t> tokens, bool in_prompt) {
    for (const int32_t token : tokens) {
      if (token < 0 || static_cast<size_t>(token) >= logits.size()) continue;
      uint32_t& seen = occurrences_[static_cast<size_t>(token)];
      if (seen == 0) touched_.push_back(token);
      seen = in_prompt ? seen | kInPrompt : seen + 1;
    }
  };
  auto output = row.output, prompt = row.prompt;
  if (params.penalty_window >= 0) {
    const auto window = static_cast<size_t>(params.penalty_window);
    output = output.last(std::min(window, output.size()));
    prompt = prompt.last(std::min(window - output.size(), prompt.size()));
  }
  count(output, false);
  if (params.repetition_penalty != 1.0f) count(prompt, true);
  for (const int32_t token : touched_) {
    const uint32_t times = occurrences_[static_cast<size_t>(token)] & ~kInPrompt;
    float& logit = logits[static_cast<size_t>(token)];
    logit = logit > 0 ? logit / params.repetition_penalty : logit * params.repetition_penalty;
    logit -= params.frequency_penalty * static_cast<float>(times);
    if (times > 0) logit -= params.presence_penalty;
    occurrences_[static_cast<size_t>(token)] = 0;
  }
}

int32_t Sampler::draw(std::span<const float> logits, const RowMax& max, const StepRow& row) {
  const SamplingParams& params = *row.params;
  const ExponentialRace race(params.seed, row.output.size());
  const float inverse_temperature = 1.0f / params.temperature;
  weights_.resize(std::max(weights_.size(), logits.size()));
  const std::span<float> weights(weights_.data(), logits.size());
  double total = exp_row(weights, logits, max.value, inverse_temperature);  // the likeliest weighs 1

  const bool top_k = params.top_k > 0 && static_cast<size_t>(params.top_k) < logits.size();
  const bool top_p = params.top_p < 1.0f, typical = params.typical_p < 1.0f;
  if (!top_k && !top_p && !typical && params.min_p <= 0.0f) return race.winner(weights);

  float least = kMasked;  // tokens with a lower logit are out
  if (params.min_p > 0.0f) least = max.value + params.temperature * std::log(std::min(params.min_p, 1.0f));
  if (top_k) least = std::max(least, kth_largest(logits, static_cast<size_t>(params.top_k), selection_));
  float least_weight = 0.0f;
  // Tokens this light sum to less than 1 - p together, whatever else happens.
  if (top_p && !typical && least == kMasked)
    least_weight = static_cast<float>((1.0 - static_cast<double>(params.top_p)) * total /
                                      static_cast<double>(logits.size()) * 0.999);
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] >= least && weights[i] >= least_weight)
      candidates_.push_back({logits[i], weights[i], static_cast<int32_t>(i)});
  }
  if (least != kMasked) {
    total = 0;
    for (const Candidate& c : candidates_) total += static_cast<double>(c.weight);
  }
  if (typical) total = keep_typical(candidates_, static_cast<double>(params.typical_p), total);
  if (top_p) {
    keep_top_p(candidates_, static_cast<double>(params.top_p), total);
  }
  return race.winner(candidates_);
}

}  // namespace mhub::model
