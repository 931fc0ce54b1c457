// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "config_parts.h"
#include "parse_limits.h"

namespace mhub::formats {
namespace {

constexpr double kMaxFactor = 1e6, kMaxTheta = 1e15;
constexpr std::array<std::string_view, 6> kRopeTypes = {"default", "linear", "dynamic", "llama3", "yarn", "longrope"};

struct Rope {
  RopeScaling scaling;
  std::optional<double> theta, partial_rotary_factor;
};

template <typename T>
void take(T& target, const std::optional<T>& value) {
  if (value) target = *value;
}

Result<std::string> rope_type(const JsonFields& fields) {
  MHUB_TRY(const auto modern, fields.string("rope_type"));
  MHUB_TRY(const auto old, fields.string("type"));
  if (modern && old && *modern != *old)
    return fields.error("type", fmt::format("\"{}\" contradicts rope_type \"{}\"", *old, *modern));
  std::string type = modern ? *modern : old.value_or("default");
  if (type == "su") type = "longrope";
  if (std::find(kRopeTypes.begin(), kRopeTypes.end(), type) == kRopeTypes.end()) {
    return fields.error(modern ? "rope_type" : "type", fmt::format("unknown rope type \"{}\"", printable(type, 64)),
                        fmt::format("this build knows {}", fmt::join(kRopeTypes, ", ")));
  }
  return type;
}

Result<void> require(const JsonFields& fields, std::string_view type, std::initializer_list<std::string_view> keys) {
  for (const auto key : keys) {
    if (!fields.has(key)) return fields.error(key, fmt::format("missing, rope type {} needs it", type));
  }
  return {};
}

// The object rope_scaling or rope_parameters.
Result<Rope> read_rope_object(const JsonFields& fields, const ModelConfig& config) {
  MHUB_CHECK_OK(
      fields.only({"rope_type", "type", "rope_theta", "partial_rotary_factor", "factor", "low_freq_factor",
                   "high_freq_factor", "original_max_position_embeddings", "beta_fast", "beta_slow", "attention_factor",
                   "mscale", "mscale_all_dim", "truncate", "long_factor", "short_factor", "finetuned"}));
  Rope rope;
  RopeScaling& s = rope.scaling;
  MHUB_TRY(s.rope_type, rope_type(fields));
  MHUB_TRY(rope.theta, fields.number("rope_theta", 1.0, kMaxTheta));
  MHUB_TRY(rope.partial_rotary_factor, fields.number("partial_rotary_factor", 1e-3, 1.0));
  MHUB_TRY(const auto factor, fields.number("factor", 1.0, kMaxFactor));
  MHUB_TRY(const auto low, fields.number("low_freq_factor", 1e-3, kMaxFactor));
  MHUB_TRY(const auto high, fields.number("high_freq_factor", 1e-3, kMaxFactor));
  MHUB_TRY(const auto original, fields.integer("original_max_position_embeddings", 1, limits::kPositions));
  MHUB_TRY(const auto fast, fields.number("beta_fast", 1e-3, kMaxFactor));
  MHUB_TRY(const auto slow, fields.number("beta_slow", 1e-3, kMaxFactor));
  MHUB_TRY(s.attention_factor, fields.number("attention_factor", 1e-6, kMaxFactor));
  MHUB_TRY(s.mscale, fields.number("mscale", 0.0, kMaxFactor));
  MHUB_TRY(s.mscale_all_dim, fields.number("mscale_all_dim", 0.0, kMaxFactor));
  MHUB_TRY(const auto truncate, fields.boolean("truncate"));
  const auto max_factors = static_cast<size_t>(limits::kHeadDim);
  MHUB_TRY(s.long_factor, fields.numbers("long_factor", max_factors, 1e-6, kMaxFactor));
  MHUB_TRY(s.short_factor, fields.numbers("short_factor", max_factors, 1e-6, kMaxFactor));
  take(s.factor, factor);
  take(s.low_freq_factor, low);
  take(s.high_freq_factor, high);
  take(s.original_max_position_embeddings, original);
  take(s.beta_fast, fast);
  take(s.beta_slow, slow);
  take(s.truncate, truncate);

  const std::string& type = s.rope_type;
  if (type == "linear" || type == "dynamic" || type == "yarn") MHUB_CHECK_OK(require(fields, type, {"factor"}));
  if (type == "llama3") {
    MHUB_CHECK_OK(
        require(fields, type, {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}));
    if (s.high_freq_factor <= s.low_freq_factor) {
      return fields.error("high_freq_factor",
                          fmt::format("{} is not above low_freq_factor {}", s.high_freq_factor, s.low_freq_factor));
    }
  }
  if (type == "yarn" && s.beta_fast <= s.beta_slow) {
    return fields.error("beta_fast", fmt::format("{} is not above beta_slow {}", s.beta_fast, s.beta_slow));
  }
  if (type == "longrope") {
    MHUB_CHECK_OK(require(fields, type, {"long_factor", "short_factor"}));
    const double partial = rope.partial_rotary_factor.value_or(config.partial_rotary_factor);
    const auto need = static_cast<size_t>(static_cast<double>(config.head_dim) * partial) / 2;
    for (const auto& [key, list] :
         {std::pair("long_factor", &s.long_factor), std::pair("short_factor", &s.short_factor)}) {
      if (list->size() != need)
        return fields.error(key, fmt::format("{} entries, the head needs {}", list->size(), need));
    }
  }
  return rope;
}

bool same(const RopeScaling& a, const RopeScaling& b) {
  return a.rope_type == b.rope_type && a.factor == b.factor && a.low_freq_factor == b.low_freq_factor &&
         a.high_freq_factor == b.high_freq_factor && a.beta_fast == b.beta_fast && a.beta_slow == b.beta_slow &&
         a.attention_factor == b.attention_factor && a.mscale == b.mscale && a.mscale_all_dim == b.mscale_all_dim &&
         a.truncate == b.truncate && a.original_max_position_embeddings == b.original_max_position_embeddings &&
         a.long_factor == b.long_factor && a.short_factor == b.short_factor;
}

}  // namespace

Result<void> read_rope(const JsonFields& fields, ModelConfig& config) {
  MHUB_TRY(const auto theta, fields.number("rope_theta", 1.0, kMaxTheta));
  MHUB_TRY(const auto partial, fields.number("partial_rotary_factor", 1e-3, 1.0));
  take(config.rope_theta, theta);
  take(config.partial_rotary_factor, partial);
  const bool by_layer = config.model_type == "gemma3_text";  // sliding layers have a rope of their own
  if (by_layer) {
    MHUB_TRY(const auto local, fields.number("rope_local_base_freq", 1.0, kMaxTheta));
    config.rope_local_theta = local.value_or(10000.0);
  }

  MHUB_TRY(const auto old, fields.object("rope_scaling"));
  MHUB_TRY(auto modern, fields.object("rope_parameters"));
  std::optional<RopeScaling> from_old;
  if (old) {
    MHUB_TRY(const auto rope, read_rope_object(*old, config));
    if (rope.theta && theta && *rope.theta != *theta)
      return old->error("rope_theta", fmt::format("{} contradicts /rope_theta {}", *rope.theta, *theta));
    from_old = rope.scaling;
    config.rope_scaling = rope.scaling;
    take(config.rope_theta, rope.theta);
  }
  if (modern && (modern->has("full_attention") || modern->has("sliding_attention"))) {
    if (!by_layer)
      return modern->error(modern->has("full_attention") ? "full_attention" : "sliding_attention",
                           "rope by layer type is not supported for this architecture");
    MHUB_CHECK_OK(modern->only({"full_attention", "sliding_attention"}));
    MHUB_TRY(const auto sliding, modern->object("sliding_attention"));
    if (sliding) {
      MHUB_TRY(const auto local, read_rope_object(*sliding, config));
      if (local.scaling.rope_type != "default")
        return sliding->error("rope_type", "sliding layers with a scaled rope are not supported");
      if (local.theta) config.rope_local_theta = local.theta;
    }
    MHUB_TRY(const auto full, modern->object("full_attention"));
    modern.reset();
    if (full) modern.emplace(*full);
  }
  if (modern) {
    MHUB_TRY(const auto rope, read_rope_object(*modern, config));
    if (rope.theta && theta && *rope.theta != *theta)
      return modern->error("rope_theta", fmt::format("{} contradicts /rope_theta {}", *rope.theta, *theta));
    if (from_old && !same(*from_old, rope.scaling))
      return fields.error("rope_parameters", "it contradicts /rope_scaling");
    config.rope_scaling = rope.scaling;
    take(config.rope_theta, rope.theta);
    take(config.partial_rotary_factor, rope.partial_rotary_factor);
  }
  if (config.rope_scaling.rope_type == "longrope" && config.rope_scaling.original_max_position_embeddings == 0) {
    MHUB_TRY(const auto original, fields.integer("original_max_position_embeddings", 1, limits::kPositions));
    if (!original) return fields.error("original_max_position_embeddings", "missing, rope type longrope needs it");
    config.rope_scaling.original_max_position_embeddings = *original;
  }
  return {};
}

}  // namespace mhub::formats
