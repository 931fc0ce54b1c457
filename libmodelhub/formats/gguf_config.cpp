// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "bad_model.h"
#include "config_parts.h"
#include "gguf_metadata.h"
#include "mhub/base/bytes.h"
#include "parse_limits.h"

namespace mhub::formats {
namespace {

// Texts of control tokens that end a turn; GGUF files name only one of them in eos_token_id.
constexpr std::array<std::string_view, 7> kTerminators = {"<|eot_id|>", "<|im_end|>", "<end_of_turn>", "<|endoftext|>",
                                                          "<|end|>",    "<|return|>", "<|call|>"};

const std::vector<std::string_view>* vocabulary(const GgufFile& gguf) {
  const auto* value = gguf.find("tokenizer.ggml.tokens");
  return value ? std::get_if<std::vector<std::string_view>>(value) : nullptr;
}

Result<void> read_sizes(const GgufFile& gguf, const GgufMetadata& meta, ModelConfig& c) {
  MHUB_TRY(c.num_hidden_layers, meta.required("block_count", 1, limits::kLayers));
  MHUB_TRY(c.max_position_embeddings, meta.required("context_length", 1, limits::kPositions));
  MHUB_TRY(c.hidden_size, meta.required("embedding_length", 1, limits::kWidth));
  MHUB_TRY(const auto intermediate, meta.per_layer("feed_forward_length", 0, limits::kWidth));
  MHUB_TRY(const auto of_expert, meta.integer("expert_feed_forward_length", 1, limits::kWidth));
  if (!intermediate && !of_expert) return meta.error("feed_forward_length", "missing");
  c.intermediate_size = intermediate.value_or(0) > 0 ? *intermediate : of_expert.value_or(0);
  if (c.intermediate_size == 0) return meta.error("feed_forward_length", "0 is not from 1 up");
  MHUB_TRY(c.num_attention_heads, meta.required("attention.head_count", 1, limits::kHeads));
  MHUB_TRY(const auto kv_heads, meta.per_layer("attention.head_count_kv", 1, limits::kHeads));
  c.num_key_value_heads = kv_heads.value_or(c.num_attention_heads);
  MHUB_TRY(const auto key_length, meta.integer("attention.key_length", 2, limits::kHeadDim));
  MHUB_TRY(const auto value_length, meta.integer("attention.value_length", 2, limits::kHeadDim));
  if (!key_length && c.hidden_size % c.num_attention_heads != 0) {
    return meta.error("embedding_length",
                      fmt::format("{} is not divisible by {} heads", c.hidden_size, c.num_attention_heads));
  }
  c.head_dim = key_length.value_or(c.hidden_size / c.num_attention_heads);
  const bool latent = meta.has("attention.kv_lora_rank");
  if (!latent && value_length.value_or(c.head_dim) != c.head_dim) {
    return meta.error("attention.value_length",
                      fmt::format("{} differs from the key length {}", *value_length, c.head_dim));
  }
  MHUB_TRY(const auto eps, meta.number("attention.layer_norm_rms_epsilon", 1e-12, 1.0));
  if (!eps) return meta.error("attention.layer_norm_rms_epsilon", "missing");
  c.rms_norm_eps = *eps;
  const auto* embedding = gguf.table.find("token_embd.weight");
  if (!embedding || embedding->shape.size() != 2)
    return bad_model(meta.file(), "tensor token_embd.weight is missing or not a matrix");
  MHUB_TRY(const auto vocab, meta.integer("vocab_size", 1, limits::kVocab));
  c.vocab_size = embedding->shape[0];
  if (c.vocab_size > limits::kVocab) {
    return bad_model(meta.file(), fmt::format("tensor token_embd.weight has {} rows, over the limit of {}",
                                              c.vocab_size, limits::kVocab));
  }
  if (vocab && *vocab != c.vocab_size) {
    return meta.error("vocab_size", fmt::format("{}, but token_embd.weight has {} rows", *vocab, c.vocab_size));
  }
  if (const auto* tokens = vocabulary(gguf); tokens && static_cast<int64_t>(tokens->size()) > c.vocab_size) {
    return bad_model(meta.file(),
                     fmt::format("{} tokens, but token_embd.weight has {} rows", tokens->size(), c.vocab_size));
  }
  return {};
}

// inv_freq divisors of llama3 scaling, as converters write them into rope_freqs.weight.
std::vector<double> llama3_divisors(const ModelConfig& c, const RopeScaling& s) {
  std::vector<double> out;
  for (int64_t i = 0; i < c.head_dim / 2; ++i) {
    const double inv = std::pow(c.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(c.head_dim));
    const double wavelength = 2 * std::numbers::pi / inv,
                 original = static_cast<double>(s.original_max_position_embeddings);
    if (wavelength < original / s.high_freq_factor) {
      out.push_back(1);
    } else if (wavelength > original / s.low_freq_factor) {
      out.push_back(s.factor);
    } else {
      const double smooth = (original / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
      out.push_back(1 / ((1 - smooth) / s.factor + smooth));
    }
  }
  return out;
}

// GGUF has no key for llama3 scaling, only its result: find the parameters that give it.
Result<void> read_rope_freqs(const GgufFile& gguf, const GgufMetadata& meta, ModelConfig& c) {
  const auto* entry = gguf.table.find("rope_freqs.weight");
  if (!entry) return {};
  if (entry->dtype != kernels::DType::kF32 || entry->shape != std::vector<int64_t>{c.head_dim / 2}) {
    return bad_model(meta.file(), fmt::format("tensor rope_freqs.weight is not F32 [{}]", c.head_dim / 2));
  }
  std::vector<double> divisors;
  const std::byte* data = gguf.table.data(*entry);
  for (int64_t i = 0; i < entry->shape[0]; ++i) divisors.push_back(load_le<float>(data + 4 * i));
  const auto near = [&](const std::vector<double>& other) {
    return std::equal(divisors.begin(), divisors.end(), other.begin(), other.end(),
                      [](double a, double b) { return std::abs(a - b) <= 1e-4 * std::abs(b); });
  };
  if (std::all_of(divisors.begin(), divisors.end(), [](double d) { return std::abs(d - 1) <= 1e-4; })) return {};
  RopeScaling s;
  s.rope_type = "llama3";
  s.factor = divisors.back();
  s.low_freq_factor = 1;
  s.high_freq_factor = 4;
  for (int64_t original = 64; s.factor >= 1 && original <= c.max_position_embeddings; original *= 2) {
    s.original_max_position_embeddings = original;
    if (near(llama3_divisors(c, s))) {
      c.rope_scaling = s;
      return {};
    }
  }
  return bad_model(meta.file(),
                   "tensor rope_freqs.weight holds no llama3 scaling (low 1, high 4) that this build recognises");
}

Result<std::vector<double>> rope_factors(const GgufFile& gguf, const GgufMetadata& meta, std::string_view name,
                                         int64_t count) {
  const auto* entry = gguf.table.find(name);
  if (!entry || entry->dtype != kernels::DType::kF32 || entry->shape != std::vector<int64_t>{count})
    return bad_model(meta.file(), fmt::format("tensor {} is missing or not F32 [{}]", name, count));
  std::vector<double> factors(static_cast<size_t>(count));
  const std::byte* next = gguf.table.data(*entry);
  for (double& factor : factors) {
    factor = static_cast<double>(load_le<float>(next));
    next += sizeof(float);
    if (!(factor > 1e-6 && factor < 1e6))
      return bad_model(meta.file(), fmt::format("tensor {} holds a factor out of range", name));
  }
  return factors;
}

// Longrope is told by its two tensors.
Result<void> read_longrope(const GgufFile& gguf, const GgufMetadata& meta, ModelConfig& c) {
  constexpr std::string_view kLong = "rope_factors_long.weight", kShort = "rope_factors_short.weight";
  if (!gguf.table.find(kLong) && !gguf.table.find(kShort)) return {};
  RopeScaling& s = c.rope_scaling;
  s.rope_type = "longrope";
  const auto half = static_cast<int64_t>(static_cast<double>(c.head_dim) * c.partial_rotary_factor) / 2;
  MHUB_TRY(s.long_factor, rope_factors(gguf, meta, kLong, half));
  MHUB_TRY(s.short_factor, rope_factors(gguf, meta, kShort, half));
  MHUB_TRY(const auto original, meta.integer("rope.scaling.original_context_length", 1, limits::kPositions));
  MHUB_TRY(s.attention_factor, meta.number("rope.scaling.attn_factor", 1e-6, 1e6));
  s.original_max_position_embeddings = original.value_or(c.max_position_embeddings);
  return {};
}

Result<void> read_rope_keys(const GgufFile& gguf, const GgufMetadata& meta, ModelConfig& c) {
  MHUB_TRY(const auto theta, meta.number("rope.freq_base", 1.0, 1e15));
  c.rope_theta = theta.value_or(10000.0);
  MHUB_TRY(const auto rotated, meta.integer("rope.dimension_count", 2, c.head_dim));
  if (rotated) c.partial_rotary_factor = static_cast<double>(*rotated) / static_cast<double>(c.head_dim);
  MHUB_TRY(const auto type, meta.string("rope.scaling.type"));
  MHUB_TRY(auto factor, meta.number("rope.scaling.factor", 0.0, 1e6));
  if (!factor) {
    MHUB_TRY(factor, meta.number("rope.scale_linear", 0.0, 1e6));
  }
  const bool scaled = factor.value_or(0) != 0 && *factor != 1;
  RopeScaling& s = c.rope_scaling;
  if (!type || *type == "linear") {
    if (scaled) s.rope_type = "linear";
  } else if (*type == "yarn") {
    s.rope_type = "yarn";
    if (!scaled) return meta.error("rope.scaling.factor", "missing, yarn needs it");
    MHUB_TRY(const auto original, meta.integer("rope.scaling.original_context_length", 1, limits::kPositions));
    MHUB_TRY(const auto fast, meta.number("rope.scaling.yarn_beta_fast", 1e-3, 1e6));
    MHUB_TRY(const auto slow, meta.number("rope.scaling.yarn_beta_slow", 1e-3, 1e6));
    MHUB_TRY(const auto attention, meta.number("rope.scaling.attn_factor", 1e-6, 1e6));
    s.original_max_position_embeddings = original.value_or(c.max_position_embeddings);
    s.beta_fast = fast.value_or(32);
    s.beta_slow = slow.value_or(1);
    if (s.beta_fast <= s.beta_slow) return meta.error("rope.scaling.yarn_beta_fast", "not above yarn_beta_slow");
    MHUB_TRY(const auto multiplier, meta.number("rope.scaling.yarn_log_multiplier", 0.0, 1e6));
    if (multiplier.value_or(0) > 0)
      s.mscale = s.mscale_all_dim = *multiplier * 10;  // the published models' two are the same
    else if (attention)
      s.attention_factor = *attention * (0.1 * std::log(*factor) + 1);
  } else if (*type != "none" && *type != "longrope") {
    return meta.error("rope.scaling.type", fmt::format("\"{}\" is not supported (none, linear, yarn and longrope are)",
                                                       printable(*type, 32)));
  }
  MHUB_CHECK_OK(read_longrope(gguf, meta, c));
  if (s.rope_type == "longrope") return {};
  if (s.rope_type != "default") {
    if (*factor < 1) return meta.error("rope.scaling.factor", fmt::format("{} is below 1", *factor));
    s.factor = *factor;
    if (gguf.table.find("rope_freqs.weight"))
      return meta.error("rope.scaling.type", "set, and so is tensor rope_freqs.weight");
  }
  return read_rope_freqs(gguf, meta, c);
}

Result<void> read_token_ids(const GgufFile& gguf, ModelConfig& c) {
  const GgufMetadata meta(gguf, "tokenizer.ggml");
  const auto add_eos = [&c](int64_t id) {
    if (std::find(c.eos_token_ids.begin(), c.eos_token_ids.end(), id) == c.eos_token_ids.end())
      c.eos_token_ids.push_back(id);
  };
  MHUB_TRY(c.bos_token_id, meta.integer("bos_token_id", 0, c.vocab_size - 1));
  for (const char* key : {"eos_token_id", "eot_token_id", "eom_token_id"}) {
    MHUB_TRY(const auto id, meta.integer(key, 0, c.vocab_size - 1));
    if (id) add_eos(*id);
  }
  if (const auto* list = gguf.find("tokenizer.ggml.eos_token_ids")) {
    const auto* ids = std::get_if<std::vector<int64_t>>(list);
    if (!ids || ids->size() > limits::kEosTokens) return meta.error("eos_token_ids", "not a short array of integers");
    for (const int64_t id : *ids) {
      if (id < 0 || id >= c.vocab_size)
        return meta.error("eos_token_ids", fmt::format("{} is not from 0 to {}", id, c.vocab_size - 1));
      add_eos(id);
    }
  }
  const auto* tokens = vocabulary(gguf);
  const auto* types_value = gguf.find("tokenizer.ggml.token_type");
  const auto* types = types_value ? std::get_if<std::vector<int64_t>>(types_value) : nullptr;
  if (!tokens || !types) return {};
  if (types->size() != tokens->size()) {
    return meta.error("token_type", fmt::format("{} entries for {} tokens", types->size(), tokens->size()));
  }
  constexpr int64_t kControl = 3;
  for (size_t i = 0; i < tokens->size(); ++i) {
    if ((*types)[i] == kControl &&
        std::find(kTerminators.begin(), kTerminators.end(), (*tokens)[i]) != kTerminators.end()) {
      add_eos(static_cast<int64_t>(i));
    }
  }
  return {};
}

}  // namespace

Result<ModelConfig> model_config_from_gguf(const GgufFile& gguf) {
  const std::filesystem::path file = gguf.table.files.empty() ? "" : gguf.table.files[0]->path();
  const auto kind = gguf.string("general.type");
  if (kind && *kind != "model")
    return bad_model(file, fmt::format("key general.type: \"{}\" is not a model", printable(*kind, 32)));
  MHUB_TRY(const Family* family, gguf_family(gguf, file));
  const GgufMetadata meta(gguf, *gguf.string("general.architecture"));
  ModelConfig c;
  c.architecture = family->architecture;
  c.model_type = family->model_type;
  c.hidden_act = family->activation;
  MHUB_CHECK_OK(read_sizes(gguf, meta, c));
  MHUB_CHECK_OK(read_rope_keys(gguf, meta, c));
  MHUB_CHECK_OK(read_gguf_family(gguf, meta, *family, c));
  MHUB_CHECK_OK(cross_check(c, file));
  c.tie_word_embeddings = gguf.table.find("output.weight") == nullptr;
  c.attention_bias = gguf.table.find("blk.0.attn_q.bias") != nullptr;
  c.mlp_bias = gguf.table.find("blk.0.ffn_gate.bias") != nullptr;
  MHUB_CHECK_OK(read_token_ids(gguf, c));
  return c;
}

}  // namespace mhub::formats
