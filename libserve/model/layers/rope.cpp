// SPDX-License-Identifier: Apache-2.0
#include "layers/rope.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "mhub/base/check.h"

namespace mhub::model {
namespace {
using formats::ModelConfig;
using formats::RopeScaling;

std::vector<double> base_inv_freq(double theta, int64_t d) {
  std::vector<double> inv(static_cast<size_t>(d / 2));
  for (size_t i = 0; i < inv.size(); ++i)
    inv[i] = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(d));
  return inv;
}

void scale_llama3(std::vector<double>& inv, const RopeScaling& s) {
  const auto original = static_cast<double>(s.original_max_position_embeddings);
  for (double& f : inv) {
    const double wavelength = 2 * std::numbers::pi / f;
    if (wavelength < original / s.high_freq_factor) continue;
    if (wavelength > original / s.low_freq_factor) {
      f /= s.factor;
      continue;
    }
    const double smooth = (original / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
    f = (1 - smooth) * f / s.factor + smooth * f;
  }
}

double yarn_mscale(double factor, double k) {
  return factor <= 1 ? 1.0 : 0.1 * k * std::log(factor) + 1;
}

void scale_yarn(RopeFrequencies& rope, const ModelConfig& c, int64_t d) {
  const RopeScaling& s = c.rope_scaling;
  const auto dims = static_cast<double>(d);
  const auto original = static_cast<double>(s.original_max_position_embeddings ? s.original_max_position_embeddings
                                                                               : c.max_position_embeddings);
  const auto dim_of = [&](double rotations) {
    return dims * std::log(original / (rotations * 2 * std::numbers::pi)) / (2 * std::log(c.rope_theta));
  };
  double low = dim_of(s.beta_fast), high = dim_of(s.beta_slow);
  if (s.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dims - 1);
  if (low == high) high += 0.001;
  for (size_t i = 0; i < rope.inv_freq.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    double& f = rope.inv_freq[i];
    f = f / s.factor * ramp + f * (1 - ramp);
  }
  if (s.attention_factor)
    rope.attention_factor = *s.attention_factor;
  else if (s.mscale.value_or(0) != 0 && s.mscale_all_dim.value_or(0) != 0)
    rope.attention_factor = yarn_mscale(s.factor, *s.mscale) / yarn_mscale(s.factor, *s.mscale_all_dim);
  else
    rope.attention_factor = yarn_mscale(s.factor, 1);
}

// Every frequency is divided by a factor of its own, of the long list once contexts pass the original length.
void scale_longrope(RopeFrequencies& rope, const ModelConfig& c, int64_t max_model_len) {
  const RopeScaling& s = c.rope_scaling;
  const std::vector<double>& factors =
      max_model_len > s.original_max_position_embeddings ? s.long_factor : s.short_factor;
  MHUB_CHECK(factors.size() == rope.inv_freq.size());
  for (size_t i = 0; i < factors.size(); ++i) rope.inv_freq[i] /= factors[i];
  const auto original = static_cast<double>(s.original_max_position_embeddings);
  const double stretch = static_cast<double>(c.max_position_embeddings) / original;
  rope.attention_factor =
      s.attention_factor.value_or(stretch > 1 ? std::sqrt(1 + std::log(stretch) / std::log(original)) : 1.0);
}

}  // namespace

int64_t rotary_dim(const ModelConfig& config) {
  if (config.latent.kv_lora_rank > 0) return config.latent.qk_rope_head_dim;
  return static_cast<int64_t>(static_cast<double>(config.head_dim) * config.partial_rotary_factor);
}

RopeFrequencies plain_rope_frequencies(double theta, int64_t rotary_dim) {
  return {base_inv_freq(theta, rotary_dim), 1.0};
}

double attention_stretch(const RopeScaling& scaling) {
  return scaling.rope_type == "yarn" ? yarn_mscale(scaling.factor, scaling.mscale_all_dim.value_or(0)) : 1.0;
}

int64_t length_of_short_rope(const ModelConfig& config, int64_t max_model_len) {
  const RopeScaling& s = config.rope_scaling;
  if (s.rope_type != "longrope" || max_model_len <= s.original_max_position_embeddings) return 0;
  return s.original_max_position_embeddings;
}

Result<RopeFrequencies> rope_frequencies(const ModelConfig& config, int64_t max_model_len,
                                         std::span<const float> divisors) {
  const int64_t d = rotary_dim(config);
  const RopeScaling& s = config.rope_scaling;
  RopeFrequencies rope;
  double theta = config.rope_theta;
  if (s.rope_type == "dynamic") {
    const auto trained = static_cast<double>(config.max_position_embeddings);
    const double length = std::max(static_cast<double>(max_model_len), trained);
    const auto dims = static_cast<double>(d);
    if (d > 2) theta *= std::pow(s.factor * length / trained - (s.factor - 1), dims / (dims - 2));
  }
  rope.inv_freq = base_inv_freq(theta, d);
  if (!divisors.empty()) {
    if (divisors.size() != rope.inv_freq.size()) {
      return Error{ErrorCode::kBadModel,
                   fmt::format("tensor rope_freqs.weight has {} values, a rotary dimension of {} needs {}",
                               divisors.size(), d, rope.inv_freq.size()),
                   "get the file again from its publisher", ""};
    }
    for (size_t i = 0; i < divisors.size(); ++i) rope.inv_freq[i] /= static_cast<double>(divisors[i]);
    return rope;
  }
  if (s.rope_type == "default" || s.rope_type == "dynamic") return rope;
  if (s.rope_type == "linear") {
    for (double& f : rope.inv_freq) f /= s.factor;
    return rope;
  }
  if (s.rope_type == "llama3") {
    scale_llama3(rope.inv_freq, s);
    return rope;
  }
  if (s.rope_type == "yarn") {
    scale_yarn(rope, config, d);
    return rope;
  }
  if (s.rope_type == "longrope") {
    scale_longrope(rope, config, max_model_len);
    return rope;
  }
  return Error{ErrorCode::kBadModel,
               fmt::format("rope type \"{}\" is not supported for {}", printable(s.rope_type, 64), config.architecture),
               "this build serves default, linear, dynamic, llama3, yarn and longrope", ""};
}

std::vector<float> rope_table(const RopeFrequencies& frequencies, int64_t max_model_len) {
  const size_t half = frequencies.inv_freq.size();
  std::vector<float> table(static_cast<size_t>(max_model_len) * 2 * half);
  for (size_t position = 0; position < static_cast<size_t>(max_model_len); ++position) {
    float* row = table.data() + position * 2 * half;
    for (size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(position) * frequencies.inv_freq[i];
      row[i] = static_cast<float>(std::cos(angle) * frequencies.attention_factor);
      row[half + i] = static_cast<float>(std::sin(angle) * frequencies.attention_factor);
    }
  }
  return table;
}

}  // namespace mhub::model
