// SPDX-License-Identifier: Apache-2.0
// The parts of config.json that describe a mixture of experts.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bad_model.h"
#include "config_parts.h"
#include "parse_limits.h"

namespace mhub::formats {
namespace {

// Class defaults, by model_type.
struct Defaults {
  std::string_view model_type;
  int64_t num_experts, per_token, intermediate, shared;  // 0 = none; shared: width, or number for DeepSeek
  bool norm_topk_prob;
  double scale;
  int64_t groups, kept_groups, first_sparse;
};
constexpr std::array<Defaults, 6> kDefaults = {{
    {"mixtral", 8, 2, 0, 0, true, 1.0, 1, 1, 0},
    {"gpt_oss", 128, 4, 0, 0, true, 1.0, 1, 1, 0},
    {"qwen2_moe", 60, 4, 1408, 5632, false, 1.0, 1, 1, 0},
    {"qwen3_moe", 128, 8, 768, 0, false, 1.0, 1, 1, 0},
    {"deepseek_v2", 64, 0, 1407, 2, false, 1.0, 1, 1, 0},
    {"deepseek_v3", 256, 8, 2048, 1, true, 2.5, 8, 4, 3},
}};

bool is_qwen(std::string_view type) {
  return type == "qwen2_moe" || type == "qwen3_moe";
}

// The count of experts goes by different names, one of them in any file.
Result<int64_t> read_count(const JsonFields& fields, int64_t by_default) {
  std::optional<int64_t> count;
  for (const char* key : {"num_local_experts", "num_experts", "n_routed_experts"}) {
    MHUB_TRY(const auto given, fields.integer(key, 1, limits::kExperts));
    if (given && count && *given != *count)
      return fields.error(key, fmt::format("{} contradicts another count of {}", *given, *count));
    if (given) count = given;
  }
  return count.value_or(by_default);
}

Result<void> read_deepseek(const JsonFields& fields, const Defaults& d, ModelConfig& c) {
  ExpertsConfig& e = c.experts;
  const bool v3 = d.model_type == "deepseek_v3";
  MHUB_TRY(const auto shared, fields.integer("n_shared_experts", 0, limits::kExperts));
  const bool absent = !fields.json().contains("n_shared_experts");
  e.shared_intermediate_size = e.intermediate_size * shared.value_or(absent ? d.shared : 0);
  MHUB_TRY(const auto scale, fields.number("routed_scaling_factor", 1e-6, 1e6));
  e.routed_scaling_factor = scale.value_or(d.scale);
  MHUB_TRY(const auto groups, fields.integer("n_group", 1, limits::kExperts));
  MHUB_TRY(const auto kept, fields.integer("topk_group", 1, limits::kExperts));
  e.n_group = groups.value_or(d.groups);
  e.topk_group = kept.value_or(d.kept_groups);
  MHUB_TRY(const auto scoring, fields.string("scoring_func"));
  e.sigmoid_scores = v3;
  if (scoring && *scoring != (v3 ? "sigmoid" : "softmax")) {
    return fields.error("scoring_func",
                        fmt::format("\"{}\" is not supported for {}", printable(*scoring, 32), c.architecture));
  }
  MHUB_TRY(const auto method, fields.string("topk_method"));
  if (v3) {
    if (method && *method != "noaux_tc")
      return fields.error("topk_method", fmt::format("\"{}\" is not supported (noaux_tc is)", printable(*method, 32)));
    return {};
  }
  if (method.value_or("greedy") == "greedy") {
    e.n_group = e.topk_group = 1;
  } else if (*method != "group_limited_greedy") {
    return fields.error("topk_method", fmt::format("\"{}\" is not supported (greedy and group_limited_greedy are)",
                                                   printable(*method, 32)));
  }
  return {};
}

// Which layers route.
Result<void> read_layers(const JsonFields& fields, const Defaults& d, ModelConfig& c) {
  MHUB_TRY(const auto first, fields.integer("first_k_dense_replace", 0, limits::kLayers * 16));
  MHUB_TRY(const auto step, fields.integer("decoder_sparse_step", 1, limits::kLayers));
  MHUB_TRY(const auto frequency, fields.integer("moe_layer_freq", 1, limits::kLayers));
  MHUB_TRY(const auto dense, fields.integers("mlp_only_layers", limits::kLayers, 0, limits::kLayers));
  if (frequency.value_or(1) != 1)
    return fields.error("moe_layer_freq", fmt::format("{} is not supported (1 is)", *frequency));
  const bool qwen = is_qwen(d.model_type), deepseek = d.model_type.starts_with("deepseek");
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const bool listed = std::find(dense.begin(), dense.end(), i) != dense.end();
    c.experts.sparse_layers.push_back((!qwen || (!listed && (i + 1) % step.value_or(1) == 0)) &&
                                      (!deepseek || i >= first.value_or(d.first_sparse)));
  }
  return {};
}

}  // namespace

Result<void> read_experts(const JsonFields& fields, ModelConfig& c) {
  const auto* d = std::find_if(kDefaults.begin(), kDefaults.end(),
                               [&](const Defaults& defaults) { return defaults.model_type == c.model_type; });
  if (d == kDefaults.end()) return {};
  ExpertsConfig& e = c.experts;
  MHUB_TRY(e.num_experts, read_count(fields, d->num_experts));
  MHUB_TRY(const auto per_token, fields.integer("num_experts_per_tok", 1, limits::kExperts));
  if (!per_token && d->per_token == 0) return fields.error("num_experts_per_tok", "missing");
  e.num_experts_per_tok = per_token.value_or(d->per_token);
  MHUB_TRY(const auto intermediate, fields.integer("moe_intermediate_size", 1, limits::kWidth));
  e.intermediate_size = d->intermediate == 0 ? c.intermediate_size : intermediate.value_or(d->intermediate);
  MHUB_TRY(const auto norm, fields.boolean("norm_topk_prob"));
  const bool fixed = d->model_type == "mixtral" || d->model_type == "gpt_oss";
  e.norm_topk_prob = fixed ? d->norm_topk_prob : norm.value_or(d->norm_topk_prob);
  if (d->model_type == "qwen2_moe") {
    MHUB_TRY(const auto shared, fields.integer("shared_expert_intermediate_size", 1, limits::kWidth));
    e.shared_intermediate_size = shared.value_or(d->shared);
  }
  if (d->model_type == "gpt_oss") {
    MHUB_TRY(const auto alpha, fields.number("swiglu_alpha", 1e-6, 1e6));
    MHUB_TRY(const auto limit, fields.number("swiglu_limit", 1e-6, 1e6));
    e.swiglu_alpha = alpha.value_or(e.swiglu_alpha);
    e.swiglu_limit = limit.value_or(e.swiglu_limit);
  }
  if (d->model_type.starts_with("deepseek")) MHUB_CHECK_OK(read_deepseek(fields, *d, c));
  return read_layers(fields, *d, c);
}

Result<void> cross_check_experts(const ModelConfig& c, const std::filesystem::path& file) {
  const ExpertsConfig& e = c.experts;
  if (e.num_experts == 0) return {};
  if (e.num_experts_per_tok > e.num_experts) {
    return bad_model(
        file, fmt::format("{} experts a token are more than the {} there are", e.num_experts_per_tok, e.num_experts));
  }
  if (e.num_experts % e.n_group != 0 || e.topk_group > e.n_group ||
      e.topk_group * (e.num_experts / e.n_group) < e.num_experts_per_tok) {
    return bad_model(file, fmt::format("{} experts, {} a token, do not fit {} of {} groups", e.num_experts,
                                       e.num_experts_per_tok, e.topk_group, e.n_group));
  }
  return {};
}

}  // namespace mhub::formats
