// SPDX-License-Identifier: Apache-2.0
#include "hf_files.h"

#include <fmt/format.h>

#include <array>

#include "mhub/base/check.h"
#include "mhub/formats/mapped_file.h"
#include "shard_writer.h"

namespace mhub::quantize {
namespace fs = std::filesystem;
namespace {

// Whatever a tokenizer may consist of, and what the licence asks to be kept.
constexpr std::array<std::string_view, 13> kCopied = {"generation_config.json",
                                                      "tokenizer.json",
                                                      "tokenizer_config.json",
                                                      "special_tokens_map.json",
                                                      "added_tokens.json",
                                                      "vocab.json",
                                                      "merges.txt",
                                                      "tokenizer.model",
                                                      "chat_template.jinja",
                                                      "chat_template.json",
                                                      "LICENSE",
                                                      "LICENSE.txt",
                                                      "NOTICE"};
constexpr size_t kMaxCopiedBytes = 256u << 20;

Result<void> copy_companion(const fs::path& from, const fs::path& to) {
  MHUB_TRY(const std::string content, formats::read_text_file(from, kMaxCopiedBytes));
  return write_small_file(to, content);
}

Result<void> copy_safetensors_companions(const SourceModel& source, const QuantizeOptions& options,
                                         const fs::path& dir) {
  std::error_code ec;
  for (const auto name : kCopied) {
    const fs::path from = source.directory() / name;
    if (fs::exists(from, ec)) MHUB_CHECK_OK(copy_companion(from, dir / name));
  }
  const fs::path templates = source.directory() / "additional_chat_templates";
  if (fs::is_directory(templates, ec)) {
    fs::create_directory(dir / templates.filename(), ec);
    for (const auto& entry : fs::directory_iterator(templates, ec)) {
      if (entry.path().extension() == ".jinja") {
        MHUB_CHECK_OK(copy_companion(entry.path(), dir / templates.filename() / entry.path().filename()));
      }
    }
    MHUB_CHECK_OK(sync_directory(dir / templates.filename()));
  }
  MHUB_TRY(const std::string text, formats::read_text_file(source.directory() / "config.json", 8u << 20));
  MHUB_TRY(auto config, parse_ordered_json(text));
  config["quantization_config"] = quantization_config(options);
  return write_small_file(dir / "config.json", dump_json(config, 2) + "\n");
}

Result<void> write_gguf_companions(const SourceModel& source, const QuantizeOptions& options, const fs::path& dir) {
  auto config = config_json(source.config(), source.scale_dtype());
  config["quantization_config"] = quantization_config(options);
  MHUB_CHECK_OK(write_small_file(dir / "config.json", dump_json(config, 2) + "\n"));
  OrderedJson generation;
  generation["_from_model_config"] = true;
  if (source.config().bos_token_id) generation["bos_token_id"] = *source.config().bos_token_id;
  if (!source.config().eos_token_ids.empty()) generation["eos_token_id"] = source.config().eos_token_ids;
  MHUB_CHECK_OK(write_small_file(dir / "generation_config.json", dump_json(generation, 2) + "\n"));
  MHUB_TRY(const auto files, tokenizer_files(*source.gguf()));
  MHUB_CHECK_OK(write_small_file(dir / "tokenizer.json", dump_json(files.tokenizer) + "\n"));
  return write_small_file(dir / "tokenizer_config.json", dump_json(files.config, 2) + "\n");
}

OrderedJson rope_scaling_json(const formats::RopeScaling& s) {
  if (s.rope_type == "default") return nullptr;
  OrderedJson json;
  json["rope_type"] = s.rope_type;
  json["factor"] = s.factor;
  if (s.rope_type == "llama3") {
    json["low_freq_factor"] = s.low_freq_factor;
    json["high_freq_factor"] = s.high_freq_factor;
  }
  if (s.rope_type == "yarn") {
    json["beta_fast"] = s.beta_fast;
    json["beta_slow"] = s.beta_slow;
    if (s.attention_factor) json["attention_factor"] = *s.attention_factor;
  }
  if (s.original_max_position_embeddings != 0)
    json["original_max_position_embeddings"] = s.original_max_position_embeddings;
  return json;
}

}  // namespace

OrderedJson quantization_config(const QuantizeOptions& options) {
  OrderedJson weights;
  weights["actorder"] = nullptr;
  weights["block_structure"] = nullptr;
  weights["dynamic"] = false;
  weights["group_size"] = options.group_size == 0 ? OrderedJson(nullptr) : OrderedJson(options.group_size);
  weights["num_bits"] = options.bits;
  weights["observer"] = "minmax";
  weights["observer_kwargs"] = OrderedJson::object();
  weights["strategy"] = options.group_size == 0 ? "channel" : "group";
  weights["symmetric"] = options.symmetric;
  weights["type"] = "int";
  OrderedJson group;
  group["input_activations"] = nullptr;
  group["output_activations"] = nullptr;
  group["targets"] = {"Linear"};
  group["weights"] = std::move(weights);
  OrderedJson config;
  config["config_groups"]["group_0"] = std::move(group);
  config["format"] = "pack-quantized";
  config["global_compression_ratio"] = nullptr;
  config["ignore"] = {"lm_head"};
  config["kv_cache_scheme"] = nullptr;
  config["quant_method"] = "compressed-tensors";
  config["quantization_status"] = "compressed";
  return config;
}

OrderedJson config_json(const formats::ModelConfig& c, kernels::DType dtype) {
  OrderedJson json;
  json["architectures"] = {c.architecture};
  json["model_type"] = c.model_type;
  if (c.model_type == "llama") {
    json["attention_bias"] = c.attention_bias;
    json["mlp_bias"] = c.mlp_bias;
  }
  json["attention_dropout"] = 0.0;
  json["bos_token_id"] = c.bos_token_id ? OrderedJson(*c.bos_token_id) : OrderedJson(nullptr);
  json["eos_token_id"] = c.eos_token_ids.empty() ? OrderedJson(nullptr) : OrderedJson(c.eos_token_ids.front());
  json["head_dim"] = c.head_dim;
  json["hidden_act"] = c.hidden_act;
  json["hidden_size"] = c.hidden_size;
  json["initializer_range"] = 0.02;
  json["intermediate_size"] = c.intermediate_size;
  json["max_position_embeddings"] = c.max_position_embeddings;
  json["num_attention_heads"] = c.num_attention_heads;
  json["num_hidden_layers"] = c.num_hidden_layers;
  json["num_key_value_heads"] = c.num_key_value_heads;
  if (c.partial_rotary_factor != 1.0) json["partial_rotary_factor"] = c.partial_rotary_factor;
  json["rms_norm_eps"] = c.rms_norm_eps;
  json["rope_scaling"] = rope_scaling_json(c.rope_scaling);
  json["rope_theta"] = c.rope_theta;
  if (c.sliding_window) json["sliding_window"] = *c.sliding_window;
  json["tie_word_embeddings"] = c.tie_word_embeddings;
  json["torch_dtype"] = dtype == kernels::DType::kF16 ? "float16" : "bfloat16";
  json["use_cache"] = true;
  json["vocab_size"] = c.vocab_size;
  return json;
}

Result<void> write_model_files(const SourceModel& source, const QuantizeOptions& options, const fs::path& dir) {
  return source.gguf() ? write_gguf_companions(source, options, dir)
                       : copy_safetensors_companions(source, options, dir);
}

}  // namespace mhub::quantize
