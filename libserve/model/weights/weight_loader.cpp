// SPDX-License-Identifier: Apache-2.0
#include "weights/weight_loader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

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
                 "", ""};
  }
  backend_.copy_to_device(buffer->data(), values.data(), values.size_bytes());
  return buffer;
}

Result<Linear> WeightLoader::linear(std::initializer_list<std::string> modules) const {
  std::vector<CheckpointWeight> parts;
  std::vector<kernels::MatrixSource> sources;
  std::vector<float> bias;
  bool any_bias = false;
  uint64_t bytes = 0;
  for (const auto& module : modules) {
    parts.push_back(checkpoint_.weight(module + ".weight", backend_.makes_random()));
    sources.push_back(parts.back().source);
    bytes += parts.back().bytes;
    const size_t rows = bias.size() + static_cast<size_t>(sources.back().rows);
    if (checkpoint_.has(module + ".bias")) {
      any_bias = true;
      const auto values = checkpoint_.vector(module + ".bias");
      bias.insert(bias.end(), values.begin(), values.end());
    }
    bias.resize(rows, 0.0f);
  }
  // Bytes made while loading (dummy weights, repacked zero points) go away with `parts`.
  bool keep_source = checkpoint_.in_place();
  for (const auto& part : parts) keep_source = keep_source && !part.owned && part.source.data != nullptr;
  Linear linear;
  std::string why;
  linear.weight = backend_.prepare(sources, keep_source, &why);
  if (!linear.weight) return cannot_prepare(fmt::format("{}", fmt::join(modules, ", ")), bytes, backend_.facts(), why);
  if (any_bias) {
    MHUB_TRY(linear.bias, upload(bias, *modules.begin() + ".bias"));
  }
  return linear;
}

Result<RmsNorm> WeightLoader::rms_norm(const std::string& module, double eps) const {
  RmsNorm norm;
  norm.eps = static_cast<float>(eps);
  MHUB_TRY(norm.weight, upload(checkpoint_.vector(module + ".weight"), module));
  return norm;
}

Result<std::unique_ptr<kernels::PreparedWeight>> WeightLoader::embedding(const std::string& module) const {
  const CheckpointWeight table = checkpoint_.weight(module + ".weight", backend_.makes_random());
  std::string why;
  auto prepared = backend_.prepare_embedding(table.source, checkpoint_.in_place() && !table.owned, &why);
  if (!prepared) return cannot_prepare(module, table.bytes, backend_.facts(), why);
  return prepared;
}

}  // namespace mhub::model
