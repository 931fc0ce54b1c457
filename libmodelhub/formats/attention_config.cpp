// SPDX-License-Identifier: Apache-2.0
// The parts of config.json that shape attention: sliding windows, soft caps, latent attention.
#include <fmt/format.h>

#include <algorithm>

#include "config_parts.h"
#include "parse_limits.h"

namespace mhub::formats {
namespace {

// layer_types as flags; empty when absent.
Result<std::vector<bool>> read_layer_types(const JsonFields& fields, int64_t layers) {
  MHUB_TRY(const auto types, fields.strings("layer_types", limits::kLayers));
  if (!types.empty() && static_cast<int64_t>(types.size()) != layers)
    return fields.error("layer_types", fmt::format("{} entries for {} layers", types.size(), layers));
  std::vector<bool> sliding;
  for (const auto& type : types) {
    if (type != "full_attention" && type != "sliding_attention")
      return fields.error("layer_types", fmt::format("unknown layer type \"{}\"", printable(type, 64)));
    sliding.push_back(type == "sliding_attention");
  }
  return sliding;
}

Result<std::vector<bool>> default_layers(const JsonFields& fields, const Family& family, int64_t layers) {
  MHUB_TRY(const auto full_layers, fields.integer("max_window_layers", 0, limits::kLayers * 16));
  MHUB_TRY(auto pattern, fields.integer("sliding_window_pattern", 1, limits::kLayers));
  if (!pattern) {
    MHUB_TRY(pattern, fields.integer("_sliding_window_pattern", 1, limits::kLayers));
  }
  std::vector<bool> sliding;
  for (int64_t i = 0; i < layers; ++i) {
    sliding.push_back(family.sliding == Sliding::kAll ||
                      (family.sliding == Sliding::kQwen && i >= full_layers.value_or(28)) ||
                      (family.sliding == Sliding::kEven && i % 2 == 0) ||
                      (family.sliding == Sliding::kFiveInSix && (i + 1) % pattern.value_or(6) != 0));
  }
  return sliding;
}

Result<void> read_latent(const JsonFields& fields, const Family& family, ModelConfig& c) {
  LatentAttentionConfig& latent = c.latent;
  const bool absent = !fields.json().contains("q_lora_rank");
  MHUB_TRY(const auto q_rank, fields.integer("q_lora_rank", 1, limits::kWidth));
  MHUB_TRY(const auto kv_rank, fields.integer("kv_lora_rank", 1, limits::kHeadDim));
  MHUB_TRY(const auto nope, fields.integer("qk_nope_head_dim", 1, limits::kHeadDim));
  MHUB_TRY(const auto rope, fields.integer("qk_rope_head_dim", 2, limits::kHeadDim));
  MHUB_TRY(const auto value, fields.integer("v_head_dim", 1, limits::kHeadDim));
  MHUB_TRY(const auto interleaved, fields.boolean("rope_interleave"));
  if (!interleaved.value_or(true))
    return fields.error("rope_interleave", fmt::format("false is not supported for {}", family.architecture));
  MHUB_TRY(const auto predictors, fields.integer("num_nextn_predict_layers", 0, limits::kLayers));
  c.num_nextn_predict_layers = predictors.value_or(c.model_type == "deepseek_v3" ? 1 : 0);
  latent.q_lora_rank = q_rank.value_or(absent ? 1536 : 0);
  latent.kv_lora_rank = kv_rank.value_or(512);
  latent.qk_nope_head_dim = nope.value_or(128);
  latent.qk_rope_head_dim = rope.value_or(64);
  latent.v_head_dim = value.value_or(128);
  if (latent.qk_rope_head_dim % 2 != 0)
    return fields.error("qk_rope_head_dim", fmt::format("{} is odd, rope needs pairs", latent.qk_rope_head_dim));
  c.head_dim = latent.qk_nope_head_dim + latent.qk_rope_head_dim;
  c.num_key_value_heads = c.num_attention_heads;
  return {};
}

}  // namespace

// sliding_window counts only when some layer really uses one that is shorter than the context.
Result<void> read_sliding_window(const JsonFields& fields, const Family& family, ModelConfig& c) {
  MHUB_TRY(const auto given, fields.integer("sliding_window", 0, limits::kPositions));
  const bool absent = !fields.json().contains("sliding_window");
  const auto window = absent ? family.sliding_window : given;
  MHUB_TRY(auto layers, read_layer_types(fields, c.num_hidden_layers));
  bool used = window.value_or(0) > 0;
  if (family.sliding == Sliding::kQwen) {
    MHUB_TRY(const auto use, fields.boolean("use_sliding_window"));
    used = used && use.value_or(false);
  }
  if (layers.empty()) {
    MHUB_TRY(layers, default_layers(fields, family, c.num_hidden_layers));
  } else if (!used && std::find(layers.begin(), layers.end(), true) != layers.end()) {
    return fields.error("layer_types", "sliding_attention without a sliding window in use");
  }
  if (std::find(layers.begin(), layers.end(), true) == layers.end()) used = false;
  // Layers that slide may have a rope of their own even where the window is as long as the context.
  if (used && (*window < c.max_position_embeddings || c.rope_local_theta)) {
    c.sliding_window = window;
    c.sliding_layers = std::move(layers);
  }
  return {};
}

Result<void> read_attention(const JsonFields& fields, const Family& family, ModelConfig& c) {
  const std::string& type = c.model_type;
  if (type == "gemma2" || type == "gemma3_text") {
    constexpr double kMost = 1e6;
    MHUB_TRY(const auto scalar, fields.number("query_pre_attn_scalar", 1e-3, kMost));
    c.query_pre_attn_scalar = scalar.value_or(256);
    MHUB_TRY(const auto attention, fields.number("attn_logit_softcapping", 0, kMost));
    MHUB_TRY(const auto final_cap, fields.number("final_logit_softcapping", 0, kMost));
    const auto cap = [&](const char* key, const std::optional<double>& given, double by_default) {
      return given.value_or(type == "gemma2" && !fields.json().contains(key) ? by_default : 0);
    };
    c.attn_logit_softcapping = cap("attn_logit_softcapping", attention, 50);
    c.final_logit_softcapping = cap("final_logit_softcapping", final_cap, 30);
    MHUB_TRY(const auto both_ways, fields.boolean("use_bidirectional_attention"));
    if (both_ways.value_or(false)) return fields.error("use_bidirectional_attention", "true is not supported");
  }
  if (type == "deepseek_v2" || type == "deepseek_v3") return read_latent(fields, family, c);
  return {};
}

}  // namespace mhub::formats
