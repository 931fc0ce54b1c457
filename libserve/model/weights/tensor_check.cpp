// SPDX-License-Identifier: Apache-2.0
#include "weights/tensor_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace mhub::model {
namespace {
using formats::TensorEntry;
using formats::TensorTable;
using kernels::DType;

std::string model_path(const TensorTable& tensors, const TensorEntry* entry) {
  if (tensors.files.empty()) return "model";
  return tensors.files[entry ? entry->file : 0]->path().string();
}

bool has_shape(const TensorEntry& entry, const WeightSpec& spec) {
  if (spec.kind == WeightKind::kVector) return entry.shape == std::vector<int64_t>{spec.rows};
  if (spec.rows == 1 && entry.shape == std::vector<int64_t>{spec.cols}) return true;  // GGUF's shared expert gate
  return entry.shape == std::vector<int64_t>{spec.rows, spec.cols};
}

std::string expected_shape(const WeightSpec& spec) {
  return spec.kind == WeightKind::kVector ? fmt::format("[{}]", spec.rows)
                                          : fmt::format("[{}, {}]", spec.rows, spec.cols);
}

}  // namespace

bool is_float_dtype(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

Error bad_tensor(const TensorTable& tensors, std::string_view name, const std::string& what) {
  return {ErrorCode::kBadModel,
          fmt::format("{}: tensor {} {}", model_path(tensors, tensors.find(name)), printable(name, 128), what), "", ""};
}

Error missing_tensor(const TensorTable& tensors, std::string_view name) {
  const auto unsupported = tensors.unsupported.find(name);
  if (unsupported != tensors.unsupported.end())
    return bad_tensor(tensors, name,
                      fmt::format("has dtype {}, which is not supported", printable(unsupported->second)));
  Error error = bad_tensor(tensors, name, "is missing");
  error.hint = "the file is incomplete or its configuration describes another model; download it again";
  return error;
}

Result<CheckpointWeight> plain_weight(const TensorTable& tensors, const TensorEntry& entry, const WeightSpec& spec) {
  if (!has_shape(entry, spec)) {
    return bad_tensor(
        tensors, entry.name,
        fmt::format("has shape [{}], the configuration needs {}", fmt::join(entry.shape, ", "), expected_shape(spec)));
  }
  const bool vector = spec.kind == WeightKind::kVector;
  if (!is_float_dtype(entry.dtype) && (vector || !kernels::is_block_type(entry.dtype))) {
    return bad_tensor(tensors, entry.name,
                      fmt::format("has dtype {}, which is not supported here", kernels::dtype_info(entry.dtype).name));
  }
  if (vector) MHUB_CHECK_OK(check_finite(tensors, entry));
  CheckpointWeight weight;
  weight.source.dtype = entry.dtype;
  weight.source.rows = vector ? 1 : spec.rows;
  weight.source.cols = vector ? spec.rows : spec.cols;
  weight.source.data = tensors.data(entry);
  weight.bytes =
      spec.kind == WeightKind::kFloat ? static_cast<uint64_t>(spec.rows * spec.cols) * sizeof(float) : entry.bytes;
  return weight;
}

Result<void> check_finite(const TensorTable& tensors, const TensorEntry& entry) {
  constexpr int64_t kChunk = 4096;
  std::array<float, kChunk> values;
  kernels::MatrixSource source;
  source.dtype = entry.dtype;
  const uint64_t width = kernels::dtype_info(entry.dtype).block_bytes;
  const auto count = static_cast<int64_t>(entry.bytes / width);
  for (int64_t first = 0; first < count; first += kChunk) {
    source.rows = 1;
    source.cols = std::min(kChunk, count - first);
    source.data = tensors.data(entry) + static_cast<uint64_t>(first) * width;
    kernels::dequantize_rows(source, 0, 1, values.data());
    for (int64_t i = 0; i < source.cols; ++i) {
      if (!std::isfinite(values[static_cast<size_t>(i)]))
        return bad_tensor(tensors, entry.name, fmt::format("holds NaN or infinity at element {}", first + i));
    }
  }
  return {};
}

Result<void> check_no_surplus(const TensorTable& tensors, const std::set<std::string, std::less<>>& used,
                              const formats::ModelConfig& config) {
  std::vector<std::string> predictors;
  for (int64_t i = 0; i < config.num_nextn_predict_layers; ++i) {
    predictors.push_back(fmt::format("model.layers.{}.", config.num_hidden_layers + i));
    predictors.push_back(fmt::format("blk.{}.", config.num_hidden_layers + i));
  }
  const auto ignorable = [&](std::string_view name) {
    return name.ends_with("rotary_emb.inv_freq") ||
           std::any_of(predictors.begin(), predictors.end(), [&](const auto& p) { return name.starts_with(p); });
  };
  std::vector<std::string> surplus;
  for (const auto& [name, entry] : tensors.tensors) {
    if (!used.contains(name) && !ignorable(name)) surplus.push_back(name);
  }
  for (const auto& [name, dtype] : tensors.unsupported) {
    if (!ignorable(name)) surplus.push_back(name);
  }
  if (surplus.empty()) return {};
  const std::string others = surplus.size() == 1 ? "" : fmt::format(" (and {} more)", surplus.size() - 1);
  Error error = bad_tensor(tensors, surplus.front(), "has no place in this architecture" + others);
  error.hint = "the configuration describes another model than the weights";
  return error;
}

}  // namespace mhub::model
