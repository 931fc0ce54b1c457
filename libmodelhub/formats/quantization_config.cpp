// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "config_parts.h"

namespace mhub::formats {
namespace {

constexpr std::string_view kSupported = "this build reads compressed-tensors (pack-quantized, int-quantized) and GGUF";

Result<void> read_weights(const JsonFields& weights, CompressedTensors& out) {
  MHUB_TRY(const auto type, weights.string("type"));
  if (type.value_or("int") != "int")
    return weights.error("type", fmt::format("\"{}\" is not supported", *type), std::string(kSupported));
  MHUB_TRY(const auto bits, weights.integer("num_bits", 1, 64));
  if (!bits) return weights.error("num_bits", "missing");
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
  if (weights.has("actorder") && weights.json()["actorder"] != Json(false)) {
    MHUB_TRY(const auto order, weights.string("actorder"));
    if (*order == "group") return weights.error("actorder", "\"group\" (reordered input columns) is not supported");
    if (*order != "weight" && *order != "static")
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
  if (out.format != "pack-quantized" && out.format != "int-quantized") {
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
    if (out.format != "int-quantized" || !dynamic.value_or(false)) {
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

}  // namespace

Result<void> read_quantization(const JsonFields& fields, ModelConfig& config) {
  const bool old_name = !fields.has("quantization_config");
  MHUB_TRY(const auto quantization, fields.object(old_name ? "compression_config" : "quantization_config"));
  if (!quantization) return {};
  MHUB_TRY(const auto method, quantization->string("quant_method"));
  if (!method) return quantization->error("quant_method", "missing", std::string(kSupported));
  if (*method != "compressed-tensors") {
    return quantization->error("quant_method", fmt::format("\"{}\" is not supported", printable(*method, 64)),
                               std::string(kSupported));
  }
  MHUB_TRY(config.quantization, read_compressed_tensors(*quantization));
  return {};
}

}  // namespace mhub::formats
