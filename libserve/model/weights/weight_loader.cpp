// SPDX-License-Identifier: Apache-2.0
#include "weights/weight_loader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>

#include "mhub/base/bytes.h"

namespace mhub::model {
namespace {

// A back end says in words why it took no weight; short memory is the device's fault, anything else the model's.
Error cannot_prepare(const std::string& what, uint64_t bytes, const kernels::DeviceFacts& device,
                     const std::string& why) {
  const bool short_memory = device.memory_available_bytes < bytes;
  return {short_memory ? ErrorCode::kDevice : ErrorCode::kBadModel,
          fmt::format("weight {} ({}) cannot be used on {}: {}", what, human_bytes(bytes), device.name, why),
          short_memory ? "use a smaller or quantized model" : "", ""};
}

}  // namespace

Result<std::unique_ptr<kernels::Buffer>> WeightLoader::upload(std::span<const float> values,
                                                              const std::string& name) const {
  auto buffer = backend_.allocate(values.size_bytes());
  if (!buffer) {
    return Error{ErrorCode::kDevice,
                 fmt::format("{} for {} could not be allocated on {}", human_bytes(values.size_bytes()), name,
                             backend_.facts().name),
                 "free memory there or use a smaller or quantized model", ""};
  }
  backend_.copy_to_device(buffer->data(), values.data(), values.size_bytes());
  return buffer;
}

Result<std::unique_ptr<kernels::PreparedWeight>> WeightLoader::prepare(const std::string& what,
                                                                       std::span<const kernels::MatrixSource> sources,
                                                                       bool keep_source) const {
  std::string why;
  auto weight = backend_.prepare(sources, keep_source, &why);
  if (weight) return weight;
  uint64_t bytes = 0;
  for (const auto& source : sources) {
    bytes += static_cast<uint64_t>(source.rows) *
             kernels::row_bytes(source.dtype, static_cast<uint64_t>(source.cols)).value_or(0);
  }
  return cannot_prepare(what, bytes, backend_.facts(), why);
}

Result<Linear> WeightLoader::linear(std::initializer_list<std::string> modules) const {
  std::vector<CheckpointWeight> parts;
  std::vector<kernels::MatrixSource> sources;
  std::vector<float> bias;
  bool any_bias = false;
  // Bytes made while loading (dummy weights, repacked zero points) go away with `parts`.
  bool keep_source = checkpoint_.in_place();
  for (const auto& module : modules) {
    parts.push_back(checkpoint_.weight(module + ".weight", backend_.makes_random()));
    sources.push_back(parts.back().source);
    keep_source = keep_source && !parts.back().owned && parts.back().source.data != nullptr;
    const size_t rows = bias.size() + static_cast<size_t>(sources.back().rows);
    if (checkpoint_.has(module + ".bias")) {
      any_bias = true;
      const auto values = checkpoint_.floats(module + ".bias");
      bias.insert(bias.end(), values.begin(), values.end());
    }
    bias.resize(rows, 0.0f);
  }
  Linear linear;
  MHUB_TRY(linear.weight, prepare(fmt::format("{}", fmt::join(modules, ", ")), sources, keep_source));
  if (any_bias) {
    MHUB_TRY(linear.bias, upload(bias, *modules.begin() + ".bias"));
  }
  return linear;
}

Result<Linear> WeightLoader::linear_rotated(const std::string& module, int64_t first) const {
  const CheckpointWeight whole = checkpoint_.weight(module + ".weight");
  const kernels::MatrixSource& source = whole.source;
  const kernels::MatrixSource parts[] = {source.rows_at(first, source.rows - first), source.rows_at(0, first)};
  Linear linear;
  MHUB_TRY(linear.weight, prepare(module, parts, checkpoint_.in_place() && !whole.owned));
  if (checkpoint_.has(module + ".bias")) {
    auto bias = checkpoint_.floats(module + ".bias");
    std::rotate(bias.begin(), bias.begin() + first, bias.end());
    MHUB_TRY(linear.bias, upload(bias, module + ".bias"));
  }
  return linear;
}

Result<Linear> WeightLoader::float_linear(const std::string& module) const {
  const CheckpointWeight stored = checkpoint_.weight(module + ".weight");
  const auto values = checkpoint_.floats(module + ".weight");
  Linear linear;
  MHUB_TRY(linear.weight, matrix(module, values.data(), stored.source.rows, stored.source.cols));
  if (checkpoint_.has(module + ".bias")) {
    MHUB_TRY(linear.bias, vector(module + ".bias"));
  }
  return linear;
}

Result<WeightLoader::Experts> WeightLoader::experts(const std::string& prefix,
                                                    std::initializer_list<std::string> modules,
                                                    int64_t num_experts) const {
  std::vector<CheckpointWeight> parts;
  std::vector<kernels::MatrixSource> sources;
  std::vector<float> bias;
  bool keep_source = checkpoint_.in_place();
  for (int64_t e = 0; e < num_experts; ++e) {
    for (const auto& module : modules) {
      const std::string name = fmt::format("{}{}.{}", prefix, e, module);
      parts.push_back(checkpoint_.weight(name + ".weight", backend_.makes_random()));
      sources.push_back(parts.back().source);
      keep_source = keep_source && !parts.back().owned && parts.back().source.data != nullptr;
      if (!checkpoint_.has(name + ".bias")) continue;
      const auto values = checkpoint_.floats(name + ".bias");
      bias.insert(bias.end(), values.begin(), values.end());
    }
  }
  Experts experts;
  MHUB_TRY(experts.weight, prepare(fmt::format("{}*.{}", prefix, fmt::join(modules, ", ")), sources, keep_source));
  if (!bias.empty()) {
    MHUB_TRY(experts.bias, upload(bias, prefix + "*.bias"));
  }
  return experts;
}

Result<std::unique_ptr<kernels::PreparedWeight>> WeightLoader::matrix(const std::string& what, const float* values,
                                                                      int64_t rows, int64_t cols) const {
  kernels::MatrixSource source;
  source.rows = rows;
  source.cols = cols;
  source.data = values;
  return prepare(what, {&source, 1}, false);
}

Result<RmsNorm> WeightLoader::rms_norm(const std::string& module, double eps) const {
  RmsNorm norm;
  norm.eps = static_cast<float>(eps);
  MHUB_TRY(norm.weight, vector(module + ".weight"));
  return norm;
}

Result<RmsNorm> WeightLoader::rms_norm_of_one(const std::string& module, double eps) const {
  RmsNorm norm;
  norm.eps = static_cast<float>(eps);
  auto values = checkpoint_.floats(module + ".weight");
  if (!checkpoint_.norms_hold_one()) {
    for (float& value : values) value += 1.0f;
  }
  MHUB_TRY(norm.weight, upload(values, module));
  return norm;
}

Result<std::unique_ptr<kernels::Buffer>> WeightLoader::vector(const std::string& name) const {
  return upload(checkpoint_.floats(name), name);
}

float WeightLoader::rounded_to_dtype(float value) const {
  if (backend_.compute() == kernels::Compute::kFloat32 || checkpoint_.dtype() != kernels::DType::kBF16) return value;
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000u);
}

Result<std::unique_ptr<kernels::PreparedWeight>> WeightLoader::embedding(const std::string& module) const {
  const CheckpointWeight table = checkpoint_.weight(module + ".weight", backend_.makes_random());
  std::string why;
  auto prepared = backend_.prepare_embedding(
      table.source, checkpoint_.in_place() && !table.owned && table.source.data != nullptr, &why);
  if (!prepared) return cannot_prepare(module, table.bytes, backend_.facts(), why);
  return prepared;
}

}  // namespace mhub::model
