// SPDX-License-Identifier: Apache-2.0
#include "mhub/formats/model_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bad_model.h"
#include "config_parts.h"
#include "parse_limits.h"

namespace mhub::formats {
namespace fs = std::filesystem;
namespace {

std::string supported_architectures() {
  std::vector<std::string_view> names;
  for (const auto& family : families()) names.push_back(family.architecture);
  return fmt::format("this build supports {}", fmt::join(names, ", "));
}

Result<const Family*> find_family(const JsonFields& fields) {
  MHUB_TRY(const auto architectures, fields.strings("architectures", 16));
  MHUB_TRY(const auto type, fields.string("model_type"));
  const std::string model_type = type.value_or("");
  if (architectures.empty() && model_type.empty())
    return fields.error("architectures", "missing, and so is model_type");
  const bool by_type = architectures.empty();
  const std::string& wanted = by_type ? model_type : architectures[0];
  const auto all = families();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Family& family) {
    return (by_type ? family.model_type : family.architecture) == wanted;
  });
  if (found == all.end()) {
    return fields.error(by_type ? "model_type" : "architectures/0",
                        fmt::format("\"{}\" is not supported", printable(wanted, 64)), supported_architectures());
  }
  if (!model_type.empty() && model_type != found->model_type) {
    return fields.error("model_type", fmt::format("\"{}\" contradicts the architecture {}", printable(model_type, 64),
                                                  found->architecture));
  }
  return &*found;
}

Result<void> read_sizes(const JsonFields& fields, const Family& family, ModelConfig& c) {
  MHUB_TRY(const auto hidden, fields.integer("hidden_size", 1, limits::kWidth));
  MHUB_TRY(const auto intermediate, fields.integer("intermediate_size", 1, limits::kWidth));
  MHUB_TRY(const auto layers, fields.integer("num_hidden_layers", 1, limits::kLayers));
  MHUB_TRY(const auto heads, fields.integer("num_attention_heads", 1, limits::kHeads));
  MHUB_TRY(const auto kv_heads, fields.integer("num_key_value_heads", 1, limits::kHeads));
  MHUB_TRY(const auto head_dim, fields.integer("head_dim", 2, limits::kHeadDim));
  MHUB_TRY(const auto vocab, fields.integer("vocab_size", 1, limits::kVocab));
  MHUB_TRY(const auto positions, fields.integer("max_position_embeddings", 1, limits::kPositions));
  c.hidden_size = hidden.value_or(family.hidden_size);
  c.intermediate_size = intermediate.value_or(family.intermediate_size);
  c.num_hidden_layers = layers.value_or(family.num_hidden_layers);
  c.num_attention_heads = heads.value_or(family.num_attention_heads);
  // null is "as many as heads" in every class; absent is the class default.
  const bool absent = !fields.json().contains("num_key_value_heads");
  c.num_key_value_heads =
      kv_heads.value_or(absent && family.num_key_value_heads ? family.num_key_value_heads : c.num_attention_heads);
  const bool by_default = !fields.json().contains("head_dim") && family.head_dim > 0;
  const bool latent = c.model_type.starts_with("deepseek");
  if (!head_dim && !by_default && !latent && c.hidden_size % c.num_attention_heads != 0) {
    return fields.error("hidden_size",
                        fmt::format("{} is not divisible by num_attention_heads {}, and head_dim is not given",
                                    c.hidden_size, c.num_attention_heads));
  }
  c.head_dim = by_default ? family.head_dim : head_dim.value_or(c.hidden_size / c.num_attention_heads);
  c.vocab_size = vocab.value_or(family.vocab_size);
  c.max_position_embeddings = positions.value_or(family.max_position_embeddings);
  return {};
}

Result<void> read_dtype(const JsonFields& fields, ModelConfig& c) {
  MHUB_TRY(const auto old, fields.string("torch_dtype"));
  MHUB_TRY(const auto modern, fields.string("dtype"));
  const auto plain = [](std::string text) { return text.starts_with("torch.") ? text.substr(6) : text; };
  if (old && modern && plain(*old) != plain(*modern)) {
    return fields.error(
        "dtype", fmt::format("\"{}\" contradicts torch_dtype \"{}\"", printable(*modern, 32), printable(*old, 32)));
  }
  if (!old && !modern) return {};
  const std::string name = plain(modern ? *modern : *old);
  if (name == "bfloat16")
    c.torch_dtype = kernels::DType::kBF16;
  else if (name == "float16" || name == "half")
    c.torch_dtype = kernels::DType::kF16;
  else if (name == "float32" || name == "float")
    c.torch_dtype = kernels::DType::kF32;
  else
    return fields.error(modern ? "dtype" : "torch_dtype", fmt::format("unknown type \"{}\"", printable(name, 64)));
  return {};
}

Result<void> read_token_ids(const JsonFields& fields, const std::optional<int64_t>& default_bos,
                            const std::optional<int64_t>& default_eos, ModelConfig& c) {
  const int64_t last = c.vocab_size - 1;
  MHUB_TRY(const auto bos, fields.integer("bos_token_id", 0, last));
  MHUB_TRY(const auto eos, fields.integers("eos_token_id", limits::kEosTokens, 0, last));
  if (bos)
    c.bos_token_id = bos;
  else if (!fields.json().contains("bos_token_id") && !c.bos_token_id && default_bos && *default_bos <= last)
    c.bos_token_id = default_bos;
  for (const int64_t id : eos) {
    if (std::find(c.eos_token_ids.begin(), c.eos_token_ids.end(), id) == c.eos_token_ids.end())
      c.eos_token_ids.push_back(id);
  }
  if (!fields.json().contains("eos_token_id") && c.eos_token_ids.empty() && default_eos && *default_eos <= last) {
    c.eos_token_ids.push_back(*default_eos);
  }
  return {};
}

Result<void> read_activation(const JsonFields& fields, const Family& family, ModelConfig& c) {
  const char* key = family.model_type.starts_with("gemma") ? "hidden_activation" : "hidden_act";
  MHUB_TRY(const auto given, fields.string(key));
  const std::string act = given.value_or(std::string(family.activation)) == "swish" ? "silu" : given.value_or("");
  if (given && act != family.activation) {
    return fields.error(key, fmt::format("\"{}\" is not supported for {} ({} is)", printable(*given, 64),
                                         c.architecture, family.activation));
  }
  c.hidden_act = family.activation;
  return {};
}

Result<void> read_biases(const JsonFields& fields, ModelConfig& c) {
  const std::string& type = c.model_type;
  MHUB_TRY(const auto attention_bias, fields.boolean("attention_bias"));
  MHUB_TRY(const auto mlp_bias, fields.boolean("mlp_bias"));
  MHUB_TRY(const auto qkv_bias, fields.boolean("qkv_bias"));
  if (type == "llama" || type == "qwen3" || type == "qwen3_moe" || type == "olmo2" || type.starts_with("gemma") ||
      type.starts_with("deepseek"))
    c.attention_bias = attention_bias.value_or(false);
  if (type == "gpt_oss") c.attention_bias = attention_bias.value_or(true);
  if (type == "qwen2") c.attention_bias = true;  // by architecture: q, k and v, never o
  if (type == "qwen2_moe") c.attention_bias = qkv_bias.value_or(true);
  if (type == "llama") c.mlp_bias = mlp_bias.value_or(false);
  return {};
}

// Files of other quantizers that carry what config.json does not say.
Result<void> refuse_side_configs(const fs::path& dir, const ModelConfig& c) {
  if (c.quantization) return {};
  for (const char* name : {"quantize_config.json", "hf_quant_config.json", "quant_config.json"}) {
    std::error_code ec;
    if (fs::exists(dir / name, ec)) {
      return bad_model(dir / name, "the weights are quantized by a method that config.json does not name",
                       "this build reads compressed-tensors and GGUF");
    }
  }
  return {};
}

}  // namespace

Result<void> cross_check(const ModelConfig& c, const fs::path& file) {
  if (c.num_key_value_heads > c.num_attention_heads || c.num_attention_heads % c.num_key_value_heads != 0) {
    return bad_model(file, fmt::format("{} attention heads are not a multiple of {} key-value heads",
                                       c.num_attention_heads, c.num_key_value_heads));
  }
  if (c.head_dim % 2 != 0) return bad_model(file, fmt::format("head_dim {} is odd, rope needs pairs", c.head_dim));
  const auto rotary = static_cast<int64_t>(static_cast<double>(c.head_dim) * c.partial_rotary_factor);
  MHUB_CHECK_OK(cross_check_experts(c, file));
  if (c.latent.kv_lora_rank > 0 && c.partial_rotary_factor != 1.0)
    return bad_model(file, "partial_rotary_factor is not supported with latent attention");
  if (rotary < 2 || rotary % 2 != 0) {
    return bad_model(
        file, fmt::format("partial_rotary_factor {} of head_dim {} rotates {} values, not an even number of 2 or more",
                          c.partial_rotary_factor, c.head_dim, rotary));
  }
  if (c.num_attention_heads * c.head_dim > limits::kWidth) {
    return bad_model(file, fmt::format("{} heads of {} are wider than the limit of {}", c.num_attention_heads,
                                       c.head_dim, limits::kWidth));
  }
  return {};
}

Result<ModelConfig> read_model_config(const fs::path& dir) {
  const fs::path file = dir / "config.json";
  MHUB_TRY(const Json json, read_json_object(file));
  const JsonFields fields(json, file);
  MHUB_TRY(const Family* family, find_family(fields));
  ModelConfig c;
  c.architecture = family->architecture;
  c.model_type = family->model_type;
  MHUB_CHECK_OK(read_sizes(fields, *family, c));
  MHUB_TRY(const auto eps, fields.number("rms_norm_eps", 1e-12, 1.0));
  c.rms_norm_eps = eps.value_or(family->rms_norm_eps);
  c.rope_theta = family->rope_theta;
  MHUB_TRY(const auto tied, fields.boolean("tie_word_embeddings"));
  c.tie_word_embeddings = tied.value_or(family->tied);
  MHUB_CHECK_OK(read_activation(fields, *family, c));
  MHUB_CHECK_OK(read_biases(fields, c));
  MHUB_CHECK_OK(read_attention(fields, *family, c));
  MHUB_CHECK_OK(read_rope(fields, c));
  MHUB_CHECK_OK(read_experts(fields, c));
  MHUB_CHECK_OK(cross_check(c, file));
  MHUB_CHECK_OK(read_sliding_window(fields, *family, c));
  MHUB_CHECK_OK(read_dtype(fields, c));
  MHUB_CHECK_OK(read_token_ids(fields, family->bos, family->eos, c));
  MHUB_CHECK_OK(read_quantization(fields, c));
  MHUB_CHECK_OK(refuse_side_configs(dir, c));

  const fs::path generation = dir / "generation_config.json";
  std::error_code ec;
  if (fs::exists(generation, ec)) {
    MHUB_TRY(const Json generation_json, read_json_object(generation));
    MHUB_CHECK_OK(read_token_ids(JsonFields(generation_json, generation), std::nullopt, std::nullopt, c));
  }
  return c;
}

Result<GenerationDefaults> read_generation_defaults(const fs::path& dir) {
  GenerationDefaults out;
  const fs::path file = dir / "generation_config.json";
  std::error_code ec;
  if (!fs::exists(file, ec)) return out;
  MHUB_TRY(const Json json, read_json_object(file));
  const JsonFields fields(json, file);
  MHUB_TRY(out.temperature, fields.number("temperature", 0.0, 100.0));
  MHUB_TRY(out.top_p, fields.number("top_p", 0.0, 1.0));
  MHUB_TRY(out.min_p, fields.number("min_p", 0.0, 1.0));
  MHUB_TRY(out.repetition_penalty, fields.number("repetition_penalty", 1e-3, 100.0));
  MHUB_TRY(out.top_k, fields.integer("top_k", -1, limits::kVocab));
  if (out.top_k == -1) out.top_k = 0;  // both spell "off"
  MHUB_TRY(out.max_new_tokens, fields.integer("max_new_tokens", 1, limits::kPositions));
  MHUB_TRY(const auto do_sample, fields.boolean("do_sample"));
  out.do_sample = do_sample.value_or(true);
  return out;
}

}  // namespace mhub::formats
