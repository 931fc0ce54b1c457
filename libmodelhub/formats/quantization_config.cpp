// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "config_parts.h"

namespace mhub::formats {
namespace {

constexpr std::string_view kSupported =
    "this build reads compressed-tensors (pack-quantized, int-quantized, float-quantized), fp8, gptq, awq, mxfp4 and "
    "GGUF";

Result<void> read_weights(const JsonFields& weights, CompressedTensors& out) {
  MHUB_TRY(const auto type, weights.string("type"));
  MHUB_TRY(const auto bits, weights.integer("num_bits", 1, 64));
  if (!bits) return weights.error("num_bits", "missing");
  if (type.value_or("int") == "float" && *bits == 8) {  // the shape of weight_scale says how many scales there are
    out.num_bits = 8;
    return {};
  }
  if (type.value_or("int") != "int")
    return weights.error("type", fmt::format("\"{}\" of {} bits is not supported", printable(*type, 32), *bits),
                         std::string(kSupported));
  if (*bits != 4 && *bits != 8)
    return weights.error("num_bits", fmt::format("{} is not supported (4 and 8 are)", *bits));
  out.num_bits = static_cast<int>(*bits);
  MHUB_TRY(const auto symmetric, weights.boolean("symmetric"));
  out.symmetric = symmetric.value_or(true);
  MHUB_TRY(const auto strategy, weights.string("strategy"));
  MHUB_TRY(const auto group, weights.integer("group_size", -1, 1 << 20));
  if (strategy.value_or(group.value_or(-1) > 0 ? "group" : "channel") == "group") {
    if (group.value_or(0) <= 0) return weights.error("group_size", "missing or not positive, strategy group needs it");
    out.group_size = *group;
  } else if (strategy.value_or("channel") == "channel") {
    out.group_size = 0;
  } else {
    return weights.error("strategy",
                         fmt::format("\"{}\" is not supported (group and channel are)", printable(*strategy, 32)));
  }
  if (weights.has("actorder") && !weights.json()["actorder"].is_boolean()) {
    MHUB_TRY(const auto order, weights.string("actorder"));
    if (order && *order != "group" && *order != "weight" && *order != "static" && *order != "dynamic")
      return weights.error("actorder", fmt::format("unknown value \"{}\"", printable(*order, 32)));
  }
  MHUB_TRY(const auto dynamic, weights.boolean("dynamic"));
  if (dynamic.value_or(false)) return weights.error("dynamic", "weights quantized on the fly are not supported");
  return {};
}

Result<CompressedTensors> read_compressed_tensors(const JsonFields& config) {
  CompressedTensors out;
  MHUB_TRY(const auto groups, config.object("config_groups"));
  if (!groups || groups->json().size() != 1) {
    return config.error("config_groups",
                        fmt::format("{} groups, exactly one is supported", groups ? groups->json().size() : 0));
  }
  const std::string name = groups->json().begin().key();
  MHUB_TRY(const auto group, groups->object(name));
  if (!group) return groups->error(name, "null");
  MHUB_TRY(const auto targets, group->strings("targets", 1024));
  if (targets != std::vector<std::string>{"Linear"}) return group->error("targets", "only [\"Linear\"] is supported");
  MHUB_TRY(const auto weights, group->object("weights"));
  if (!weights) return group->error("weights", "missing");
  MHUB_CHECK_OK(read_weights(*weights, out));

  MHUB_TRY(const auto format, config.string("format"));
  MHUB_TRY(const auto group_format, group->string("format"));
  if (!format && !group_format) return config.error("format", "missing");
  out.format = format ? *format : *group_format;
  if (format && group_format && *format != *group_format) {
    return group->error("format", fmt::format("\"{}\" contradicts \"{}\" of the whole", printable(*group_format, 32),
                                              printable(*format, 32)));
  }
  MHUB_TRY(const auto element, weights->string("type"));
  if ((element.value_or("int") == "float") != (out.format == "float-quantized")) {
    return config.error("format",
                        fmt::format("\"{}\" does not go with {} weights", printable(out.format, 64),
                                    printable(element.value_or("int"), 32)),
                        std::string(kSupported));
  }
  if (out.format != "pack-quantized" && out.format != "int-quantized" && out.format != "float-quantized") {
    return config.error("format", fmt::format("\"{}\" is not supported", printable(out.format, 64)),
                        std::string(kSupported));
  }
  if (out.format == "int-quantized" && (out.num_bits != 8 || !out.symmetric)) {
    return config.error("format", "int-quantized is supported with symmetric 8-bit weights only");
  }
  // Activations quantized per token at run time change nothing in the file; the weights are what this build reads.
  MHUB_TRY(const auto activations, group->object("input_activations"));
  if (activations) {
    MHUB_TRY(const auto dynamic, activations->boolean("dynamic"));
    if (out.format != "float-quantized" && (out.format != "int-quantized" || !dynamic.value_or(false))) {
      return group->error("input_activations", "static or packed activation quantization is not supported");
    }
  }
  if (group->has("output_activations")) return group->error("output_activations", "not supported");
  if (config.has("kv_cache_scheme")) return config.error("kv_cache_scheme", "a quantized KV cache is not supported");
  MHUB_TRY(const auto sparsity, config.object("sparsity_config"));
  if (sparsity && !sparsity->json().empty()) {
    MHUB_TRY(const auto sparse_format, sparsity->string("format"));
    if (sparse_format.value_or("dense") != "dense")
      return sparsity->error("format", "sparse weights are not supported");
  }
  if (config.has("transform_config") && !config.json()["transform_config"].empty()) {
    return config.error("transform_config", "weight transforms are not supported");
  }
  MHUB_TRY(out.ignore, config.strings("ignore", 100'000));
  return out;
}

// AutoGPTQ, GPTQModel: bits, group_size, desc_act (told by the files' g_idx), and which zero points they store.
Result<CompressedTensors> read_gptq(const JsonFields& config) {
  CompressedTensors out;
  out.format = "gptq";
  MHUB_TRY(const auto bits, config.integer("bits", 1, 64));
  if (!bits) return config.error("bits", "missing");
  if (*bits != 4 && *bits != 8) return config.error("bits", fmt::format("{} is not supported (4 and 8 are)", *bits));
  MHUB_TRY(const auto group, config.integer("group_size", -1, 1 << 20));
  MHUB_TRY(const auto format, config.string("checkpoint_format"));
  MHUB_TRY(const auto marlin, config.boolean("is_marlin_format"));
  if (marlin.value_or(false) || (format && *format != "gptq" && *format != "gptq_v2")) {
    return config.error("checkpoint_format", fmt::format("\"{}\" is not supported (gptq and gptq_v2 are)",
                                                         printable(format.value_or("marlin"), 32)));
  }
  if (config.has("dynamic") && !config.json()["dynamic"].empty())
    return config.error("dynamic", "settings by module are not supported");
  out.num_bits = static_cast<int>(*bits);
  out.group_size = group.value_or(128) > 0 ? group.value_or(128) : 0;
  out.zeros_less_one = format.value_or("gptq") == "gptq";
  return out;
}

Result<CompressedTensors> read_awq(const JsonFields& config) {
  CompressedTensors out;
  out.format = "awq";
  MHUB_TRY(const auto bits, config.integer("bits", 1, 64));
  MHUB_TRY(const auto old_bits, config.integer("w_bit", 1, 64));
  if (const int64_t given = bits ? *bits : old_bits.value_or(4); given != 4)
    return config.error("bits", fmt::format("{} is not supported (4 is)", given));
  MHUB_TRY(const auto group, config.integer("group_size", -1, 1 << 20));
  MHUB_TRY(const auto old_group, config.integer("q_group_size", -1, 1 << 20));
  MHUB_TRY(const auto version, config.string("version"));
  const std::string form = version.value_or("gemm");
  if (form != "gemm" && form != "GEMM")
    return config.error("version", fmt::format("\"{}\" is not supported (gemm is)", printable(form, 32)));
  const int64_t size = group ? *group : old_group.value_or(128);
  out.group_size = size > 0 ? size : 0;
  MHUB_TRY(out.ignore, config.strings("modules_to_not_convert", 100'000));
  return out;
}

// The tensors of these say everything: dtype F8_E4M3 beside its scales, or blocks and scales of MXFP4.
Result<CompressedTensors> read_plain(const JsonFields& config, const std::string& method) {
  CompressedTensors out;
  out.format = method;
  out.num_bits = method == "fp8" ? 8 : 4;
  MHUB_TRY(out.ignore, config.strings("modules_to_not_convert", 100'000));
  return out;
}

}  // namespace

Result<void> read_quantization(const JsonFields& fields, ModelConfig& config) {
  const bool old_name = !fields.has("quantization_config");
  MHUB_TRY(const auto quantization, fields.object(old_name ? "compression_config" : "quantization_config"));
  if (!quantization) return {};
  MHUB_TRY(const auto method, quantization->string("quant_method"));
  if (!method) return quantization->error("quant_method", "missing", std::string(kSupported));
  if (*method == "gptq") {
    MHUB_TRY(config.quantization, read_gptq(*quantization));
    return {};
  }
  if (*method == "awq") {
    MHUB_TRY(config.quantization, read_awq(*quantization));
    return {};
  }
  if (*method == "fp8" || *method == "mxfp4") {
    MHUB_TRY(config.quantization, read_plain(*quantization, *method));
    return {};
  }
  if (*method != "compressed-tensors") {
    return quantization->error("quant_method", fmt::format("\"{}\" is not supported", printable(*method, 64)),
                               std::string(kSupported));
  }
  MHUB_TRY(config.quantization, read_compressed_tensors(*quantization));
  return {};
}

}  // namespace mhub::formats
