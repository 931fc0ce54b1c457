// SPDX-License-Identifier: Apache-2.0
// What GGUF metadata says of the families beyond Llama, and what it leaves to be known.
#include <fmt/ranges.h>
#include <algorithm>

#include "gguf_metadata.h"
#include "parse_limits.h"

namespace mhub::formats {
namespace {

// attention.sliding_window_pattern: every n-th layer is global, or a flag per layer.
Result<std::vector<bool>> sliding_layers(const GgufMetadata& meta, const Family& family, int64_t layers) {
  constexpr const char* kKey = "attention.sliding_window_pattern";
  int64_t every = 6;
  if (const auto* value = meta.value(kKey)) {
    if (const auto* flags = std::get_if<std::vector<bool>>(value)) {
      if (static_cast<int64_t>(flags->size()) != layers)
        return meta.error(kKey, fmt::format("{} entries for {} layers", flags->size(), layers));
      return *flags;
    }
    MHUB_TRY(const auto pattern, meta.integer(kKey, 1, limits::kLayers));
    every = pattern.value_or(every);
  }
  std::vector<bool> sliding;
  for (int64_t i = 0; i < layers; ++i) {
    sliding.push_back(family.sliding == Sliding::kAll || family.architecture == "LlamaForCausalLM" ||
                      (family.sliding == Sliding::kEven && i % 2 == 0) ||
                      (family.sliding == Sliding::kFiveInSix && (i + 1) % every != 0));
  }
  return sliding;
}

Result<void> read_window(const GgufMetadata& meta, const Family& family, ModelConfig& c) {
  if (family.sliding == Sliding::kFiveInSix) {
    MHUB_TRY(auto local, meta.number("rope.freq_base_swa", 1.0, 1e15));
    if (!local) {
      MHUB_TRY(local, meta.number("rope.local.freq_base", 1.0, 1e15));
    }
    c.rope_local_theta = local.value_or(10000.0);
  }
  MHUB_TRY(const auto window, meta.integer("attention.sliding_window", 0, limits::kPositions));
  if (family.sliding == Sliding::kQwen || window.value_or(0) == 0) return {};
  if (*window >= c.max_position_embeddings && !c.rope_local_theta) return {};
  MHUB_TRY(auto layers, sliding_layers(meta, family, c.num_hidden_layers));
  if (std::find(layers.begin(), layers.end(), true) == layers.end()) return {};
  c.sliding_window = window;
  c.sliding_layers = std::move(layers);
  return {};
}

// GGUF has no key for the scale of queries: the two largest models divide by hidden_size / heads, the others by
// head_dim.
Result<void> read_gemma(const GgufMetadata& meta, ModelConfig& c) {
  const bool second = c.model_type == "gemma2";
  const bool largest = c.num_hidden_layers == (second ? 46 : 62);
  c.query_pre_attn_scalar = static_cast<double>(largest ? c.hidden_size / c.num_attention_heads : c.head_dim);
  MHUB_TRY(const auto attention, meta.number("attn_logit_softcapping", 0, 1e6));
  MHUB_TRY(const auto final_cap, meta.number("final_logit_softcapping", 0, 1e6));
  c.attn_logit_softcapping = attention.value_or(second ? 50 : 0);
  c.final_logit_softcapping = final_cap.value_or(second ? 30 : 0);
  return {};
}

Result<void> read_latent(const GgufMetadata& meta, ModelConfig& c) {
  LatentAttentionConfig& l = c.latent;
  MHUB_TRY(const auto q_rank, meta.integer("attention.q_lora_rank", 0, limits::kWidth));
  MHUB_TRY(l.kv_lora_rank, meta.required("attention.kv_lora_rank", 1, limits::kHeadDim));
  MHUB_TRY(l.qk_rope_head_dim, meta.required("rope.dimension_count", 2, limits::kHeadDim));
  const bool newer = meta.has("attention.key_length_mla");
  MHUB_TRY(const auto key,
           meta.required(newer ? "attention.key_length_mla" : "attention.key_length", 2, limits::kHeadDim));
  MHUB_TRY(l.v_head_dim,
           meta.required(newer ? "attention.value_length_mla" : "attention.value_length", 1, limits::kHeadDim));
  l.q_lora_rank = q_rank.value_or(0);
  if (key <= l.qk_rope_head_dim)
    return meta.error("rope.dimension_count", fmt::format("{} of a key of {}", l.qk_rope_head_dim, key));
  l.qk_nope_head_dim = key - l.qk_rope_head_dim;
  c.head_dim = key;
  c.num_key_value_heads = c.num_attention_heads;
  c.partial_rotary_factor = 1.0;
  return {};
}

Result<void> read_experts(const GgufMetadata& meta, ModelConfig& c) {
  ExpertsConfig& e = c.experts;
  MHUB_TRY(const auto count, meta.integer("expert_count", 0, limits::kExperts));
  if (count.value_or(0) == 0) return {};
  e.num_experts = *count;
  MHUB_TRY(e.num_experts_per_tok, meta.required("expert_used_count", 1, limits::kExperts));
  MHUB_TRY(const auto width, meta.integer("expert_feed_forward_length", 1, limits::kWidth));
  MHUB_TRY(const auto shared, meta.integer("expert_shared_feed_forward_length", 0, limits::kWidth));
  MHUB_TRY(const auto shared_count, meta.integer("expert_shared_count", 0, limits::kExperts));
  MHUB_TRY(const auto scale, meta.number("expert_weights_scale", 0, 1e6));
  MHUB_TRY(const auto norm, meta.boolean("expert_weights_norm"));
  MHUB_TRY(const auto groups, meta.integer("expert_group_count", 1, limits::kExperts));
  MHUB_TRY(const auto kept, meta.integer("expert_group_used_count", 1, limits::kExperts));
  MHUB_TRY(const auto dense, meta.integer("leading_dense_block_count", 0, limits::kLayers));
  const std::string& type = c.model_type;
  const bool deepseek = c.latent.kv_lora_rank > 0;
  e.intermediate_size = width.value_or(c.intermediate_size);
  if (deepseek) e.shared_intermediate_size = e.intermediate_size * shared_count.value_or(0);
  if (type == "qwen2_moe") e.shared_intermediate_size = shared.value_or(0);
  e.norm_topk_prob = norm.value_or(type == "mixtral" || type == "gpt_oss" || type == "qwen3_moe");
  if (scale.value_or(0) > 0) e.routed_scaling_factor = *scale;
  e.n_group = groups.value_or(1);
  e.topk_group = kept.value_or(1);
  e.sigmoid_scores = type == "deepseek_v3";
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) e.sparse_layers.push_back(!deepseek || i >= dense.value_or(0));
  return {};
}

}  // namespace

Result<const Family*> gguf_family(const GgufFile& gguf, const std::filesystem::path& file) {
  const auto name = gguf.string("general.architecture");
  if (!name) return bad_model(file, "key general.architecture: missing or not a string");
  std::string_view architecture;
  if (*name == "llama" && gguf.integer("llama.expert_count").value_or(0) > 0) architecture = "MixtralForCausalLM";
  if (*name == "deepseek2" && gguf.integer("deepseek2.expert_gating_func").value_or(1) == 2)
    architecture = "DeepseekV3ForCausalLM";
  std::vector<std::string_view> known;
  for (const Family& family : families()) {
    if (architecture.empty() ? family.gguf == *name : family.architecture == architecture) return &family;
    if (!family.gguf.empty()) known.push_back(family.gguf);
  }
  return bad_model(file, fmt::format("key general.architecture: \"{}\" is not supported", printable(*name, 64)),
                   fmt::format("this build supports GGUF files of the architectures {}", fmt::join(known, ", ")));
}

Result<void> read_gguf_family(const GgufFile& gguf, const GgufMetadata& meta, const Family& family, ModelConfig& c) {
  if (c.model_type == "gemma2" || c.model_type == "gemma3_text") MHUB_CHECK_OK(read_gemma(meta, c));
  if (gguf.string("general.architecture") == "deepseek2") {
    MHUB_CHECK_OK(read_latent(meta, c));
    MHUB_TRY(const auto predictors, meta.integer("nextn_predict_layers", 0, c.num_hidden_layers - 1));
    c.num_nextn_predict_layers = predictors.value_or(0);
    c.num_hidden_layers -= c.num_nextn_predict_layers;  // block_count counts them
  }
  if (c.model_type == "gpt_oss") c.rope_scaling.truncate = false;
  MHUB_CHECK_OK(read_window(meta, family, c));
  return read_experts(meta, c);
}

}  // namespace mhub::formats
