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

// What a key that is absent from config.json means, per model_type: the class defaults of transformers.
struct Family {
  std::string_view architecture, model_type;
  int64_t hidden_size, intermediate_size, num_hidden_layers, num_attention_heads;
  int64_t num_key_value_heads;  // 0 = num_attention_heads
  int64_t vocab_size, max_position_embeddings;
  std::optional<int64_t> bos, eos, sliding_window;
};
constexpr std::array<Family, 3> kFamilies = {{
    {"LlamaForCausalLM", "llama", 4096, 11008, 32, 32, 0, 32000, 2048, 1, 2, std::nullopt},
    {"MistralForCausalLM", "mistral", 4096, 14336, 32, 32, 8, 32000, 131072, 1, 2, 4096},
    {"Qwen2ForCausalLM", "qwen2", 4096, 22016, 32, 32, 32, 151936, 32768, std::nullopt, std::nullopt, 4096},
}};

std::string supported_architectures() {
  std::vector<std::string_view> names;
  for (const auto& family : kFamilies) names.push_back(family.architecture);
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
  const auto* found = std::find_if(kFamilies.begin(), kFamilies.end(), [&](const Family& family) {
    return (by_type ? family.model_type : family.architecture) == wanted;
  });
  if (found == kFamilies.end()) {
    return fields.error(by_type ? "model_type" : "architectures/0",
                        fmt::format("\"{}\" is not supported", printable(wanted, 64)), supported_architectures());
  }
  if (!model_type.empty() && model_type != found->model_type) {
    return fields.error("model_type", fmt::format("\"{}\" contradicts the architecture {}", printable(model_type, 64),
                                                  found->architecture));
  }
  return found;
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
  if (!head_dim && c.hidden_size % c.num_attention_heads != 0) {
    return fields.error("hidden_size",
                        fmt::format("{} is not divisible by num_attention_heads {}, and head_dim is not given",
                                    c.hidden_size, c.num_attention_heads));
  }
  c.head_dim = head_dim.value_or(c.hidden_size / c.num_attention_heads);
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

// sliding_window counts only when some layer really uses one that is shorter than the context.
Result<void> read_sliding_window(const JsonFields& fields, const Family& family, ModelConfig& c) {
  MHUB_TRY(const auto given, fields.integer("sliding_window", 0, limits::kPositions));
  const bool absent = !fields.json().contains("sliding_window");
  const auto window = absent ? family.sliding_window : given;
  MHUB_TRY(const auto layer_types, fields.strings("layer_types", limits::kLayers));
  if (!layer_types.empty() && static_cast<int64_t>(layer_types.size()) != c.num_hidden_layers) {
    return fields.error("layer_types",
                        fmt::format("{} entries for {} layers", layer_types.size(), c.num_hidden_layers));
  }
  for (const auto& type : layer_types) {
    if (type != "full_attention" && type != "sliding_attention") {
      return fields.error("layer_types", fmt::format("unknown layer type \"{}\"", printable(type, 64)));
    }
  }
  bool used = window.value_or(0) > 0;
  if (family.model_type == "qwen2") {
    MHUB_TRY(const auto use, fields.boolean("use_sliding_window"));
    MHUB_TRY(const auto full_layers, fields.integer("max_window_layers", 0, limits::kLayers * 16));
    used = used && use.value_or(false);
    if (layer_types.empty()) used = used && full_layers.value_or(28) < c.num_hidden_layers;
  }
  if (!layer_types.empty()) {
    const bool any = std::find(layer_types.begin(), layer_types.end(), "sliding_attention") != layer_types.end();
    if (any && !used) return fields.error("layer_types", "sliding_attention without a sliding_window in use");
    used = used && any;
  }
  if (used && *window < c.max_position_embeddings) c.sliding_window = window;
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
  c.rms_norm_eps = eps.value_or(1e-6);
  MHUB_TRY(const auto tied, fields.boolean("tie_word_embeddings"));
  c.tie_word_embeddings = tied.value_or(false);
  MHUB_TRY(const auto act, fields.string("hidden_act"));
  if (act && *act != "silu" && *act != "swish") {
    return fields.error("hidden_act",
                        fmt::format("\"{}\" is not supported for {} (silu is)", printable(*act, 64), c.architecture));
  }
  if (c.model_type == "llama") {
    MHUB_TRY(const auto attention_bias, fields.boolean("attention_bias"));
    MHUB_TRY(const auto mlp_bias, fields.boolean("mlp_bias"));
    c.attention_bias = attention_bias.value_or(false);
    c.mlp_bias = mlp_bias.value_or(false);
  }
  if (c.model_type == "qwen2") c.attention_bias = true;  // by architecture: q, k and v, never o
  MHUB_CHECK_OK(read_rope(fields, c));
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
