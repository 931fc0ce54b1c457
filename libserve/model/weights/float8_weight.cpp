// SPDX-License-Identifier: Apache-2.0
// F8_E4M3 weights with weight_scale_inv (blocks, despite its name a factor) or weight_scale (one, one per row, or
// blocks).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "weights/tensor_check.h"

namespace mhub::model {
namespace {

constexpr int64_t kBlock = 128;

int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

Result<std::optional<CheckpointWeight>> float8_weight(const formats::TensorTable& tensors, const WeightSpec& spec,
                                                      std::set<std::string, std::less<>>& used) {
  const auto* entry = tensors.find(spec.name);
  if (!entry || entry->dtype != kernels::DType::kF8E4M3) return std::optional<CheckpointWeight>();
  if (entry->shape != std::vector<int64_t>{spec.rows, spec.cols}) {
    return bad_tensor(tensors, entry->name,
                      fmt::format("has shape [{}], the configuration needs [{}, {}]", fmt::join(entry->shape, ", "),
                                  spec.rows, spec.cols));
  }
  const auto* scale = tensors.find(spec.name + "_scale_inv");
  if (!scale) scale = tensors.find(spec.name + "_scale");
  if (!scale) return missing_tensor(tensors, spec.name + "_scale");
  if (!is_float_dtype(scale->dtype)) {
    return bad_tensor(tensors, scale->name,
                      fmt::format("has dtype {}, scales are F32, F16 or BF16", kernels::dtype_info(scale->dtype).name));
  }
  MHUB_CHECK_OK(check_finite(tensors, *scale));
  CheckpointWeight weight;
  kernels::MatrixSource& source = weight.source;
  source.dtype = entry->dtype;
  source.rows = spec.rows;
  source.cols = spec.cols;
  source.data = tensors.data(*entry);
  source.scales = tensors.data(*scale);
  source.scale_dtype = scale->dtype;
  const std::vector<int64_t> grid = {ceil_div(spec.rows, kBlock), ceil_div(spec.cols, kBlock)};
  if (scale->shape.empty() || scale->shape == std::vector<int64_t>{1} || scale->shape == std::vector<int64_t>{1, 1}) {
    source.group_rows = spec.rows;
    source.group_size = spec.cols;
  } else if (scale->shape == std::vector<int64_t>{spec.rows, 1} || scale->shape == std::vector<int64_t>{spec.rows}) {
    source.group_size = spec.cols;
  } else if (scale->shape == grid) {
    source.group_rows = source.group_size = kBlock;
  } else {
    return bad_tensor(tensors, scale->name,
                      fmt::format("has shape [{}], a [{}, {}] weight has one scale, one per row or [{}] blocks of 128",
                                  fmt::join(scale->shape, ", "), spec.rows, spec.cols, fmt::join(grid, ", ")));
  }
  weight.bytes = entry->bytes + scale->bytes;
  used.insert({entry->name, scale->name});
  const std::string module = spec.name.substr(0, spec.name.rfind('.'));
  used.insert(module + ".input_scale");  // activations are not rounded here
  return std::optional(std::move(weight));
}

}  // namespace mhub::model
