// SPDX-License-Identifier: Apache-2.0
// gpt-oss stores the experts of a layer as one tensor, in MXFP4 or as floats: gate_up_proj [experts, in, 2 * out] with
// gate and up columns in turn, down_proj [experts, in, out], and biases [experts, columns].
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>

#include "mhub/base/check.h"
#include "weights/tensor_check.h"

namespace mhub::model {
namespace {
using formats::TensorEntry;
using formats::TensorTable;

// Which elements of a stacked tensor are one expert's: columns first, first + step, ... of `stacked`.
struct Place {
  std::string tensor;
  int64_t first = 0, step = 1;
};

// "<prefix>experts.E.gate_proj.weight" -> <prefix>experts.gate_up_proj
Place place_of(const WeightSpec& spec) {
  const size_t dot = spec.name.rfind('.'), module = spec.name.rfind('.', dot - 1) + 1;
  const size_t expert = spec.name.rfind('.', module - 2) + 1;
  const std::string prefix = spec.name.substr(0, expert), name = spec.name.substr(module, dot - module);
  const std::string suffix = spec.kind == WeightKind::kVector ? "_bias" : "";
  if (name == "down_proj") return {prefix + "down_proj" + suffix, 0, 1};
  return {prefix + "gate_up_proj" + suffix, name == "up_proj" ? 1 : 0, 2};
}

// Copies elements of `width` bytes: out [rows, cols] from columns first + step * row of in [cols, step * rows].
std::shared_ptr<std::vector<std::byte>> transposed(const std::byte* in, int64_t rows, int64_t cols, const Place& place,
                                                   size_t width) {
  auto out = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(rows * cols) * width);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      std::memcpy(out->data() + static_cast<size_t>(r * cols + c) * width,
                  in + static_cast<size_t>(c * place.step * rows + place.first + place.step * r) * width, width);
    }
  }
  return out;
}

// Hugging Face's MXFP4: `_blocks` U8 [experts, rows, cols / 32, 16], a byte holding two neighbours, and `_scales` U8
// [experts, rows, cols / 32]. Becomes GGUF's blocks, whose bytes hold elements j and j + 16 behind the scale.
std::shared_ptr<std::vector<std::byte>> mxfp4_blocks(const std::byte* blocks, const std::byte* scales, int64_t rows,
                                                     int64_t row_blocks, const Place& place) {
  auto out = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(rows * row_blocks) * 17);
  std::byte* to = out->data();
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t row = place.first + place.step * r;
    for (int64_t b = row * row_blocks; b < (row + 1) * row_blocks; ++b, to += 17) {
      to[0] = scales[b];
      const auto element = [&](int e) { return blocks[16 * b + e / 2] >> (4 * (e % 2)) & std::byte{15}; };
      for (int j = 0; j < 16; ++j) to[1 + j] = element(j) | element(j + 16) << 4;
    }
  }
  return out;
}

Result<std::optional<CheckpointWeight>> mxfp4_expert(const TensorTable& tensors, const WeightSpec& spec,
                                                     const Place& place, std::set<std::string, std::less<>>& used) {
  const TensorEntry* blocks = tensors.find(place.tensor + "_blocks");
  if (!blocks || spec.kind == WeightKind::kVector) return std::optional<CheckpointWeight>();
  const TensorEntry* scales = tensors.find(place.tensor + "_scales");
  if (!scales) return missing_tensor(tensors, place.tensor + "_scales");
  const int64_t row_blocks = spec.cols / 32, all_rows = spec.rows * place.step;
  std::vector<int64_t> shape = {spec.num_experts, all_rows, row_blocks};
  for (const TensorEntry* entry : {scales, blocks}) {
    if (entry == blocks) shape.push_back(16);
    if (entry->dtype == kernels::DType::kU8 && entry->shape == shape && spec.cols % 32 == 0) continue;
    return bad_tensor(tensors, entry->name,
                      fmt::format("is {} [{}], U8 [{}] was expected", kernels::dtype_info(entry->dtype).name,
                                  fmt::join(entry->shape, ", "), fmt::join(shape, ", ")));
  }
  used.insert({blocks->name, scales->name});
  CheckpointWeight weight;
  weight.source.dtype = kernels::DType::kMXFP4;
  weight.source.rows = spec.rows;
  weight.source.cols = spec.cols;
  weight.bytes = static_cast<uint64_t>(spec.rows * row_blocks) * 17;
  const int64_t first = spec.expert * all_rows * row_blocks;
  weight.make = [shape = weight, codes = tensors.data(*blocks) + 16 * first, exponents = tensors.data(*scales) + first,
                 row_blocks, place] {
    CheckpointWeight made = shape;
    auto bytes = mxfp4_blocks(codes, exponents, shape.source.rows, row_blocks, place);
    made.source.data = bytes->data();
    made.owned = std::move(bytes);
    return made;
  };
  return std::optional(std::move(weight));
}

}  // namespace

Result<CheckpointWeight> expert_slice(const TensorTable& tensors, const TensorEntry& entry, const WeightSpec& spec) {
  std::vector<int64_t> shape = {spec.num_experts, spec.rows, spec.cols};
  if (spec.kind == WeightKind::kVector) shape.pop_back();
  if (entry.shape != shape) {
    return bad_tensor(tensors, entry.name,
                      fmt::format("has shape [{}], the configuration needs [{}]", fmt::join(entry.shape, ", "),
                                  fmt::join(shape, ", ")));
  }
  TensorEntry slice = entry;
  slice.shape.erase(slice.shape.begin());
  slice.bytes = entry.bytes / static_cast<uint64_t>(spec.num_experts);
  slice.offset = entry.offset + slice.bytes * static_cast<uint64_t>(spec.expert);
  return plain_weight(tensors, slice, spec);
}

Result<std::optional<CheckpointWeight>> stacked_expert(const TensorTable& tensors, const WeightSpec& spec,
                                                       std::set<std::string, std::less<>>& used) {
  if (spec.expert < 0) return std::optional<CheckpointWeight>();
  const Place place = place_of(spec);
  const TensorEntry* entry = tensors.find(place.tensor);
  if (!entry) return mxfp4_expert(tensors, spec, place, used);
  used.insert(entry->name);
  const bool vector = spec.kind == WeightKind::kVector;
  const int64_t rows = spec.rows, cols = vector ? 1 : spec.cols;
  std::vector<int64_t> shape = {spec.num_experts, cols, rows * place.step};
  if (vector) shape = {spec.num_experts, rows * place.step};
  if (entry->shape != shape) {
    return bad_tensor(tensors, entry->name,
                      fmt::format("has shape [{}], the configuration needs [{}]", fmt::join(entry->shape, ", "),
                                  fmt::join(shape, ", ")));
  }
  if (!is_float_dtype(entry->dtype)) {
    return bad_tensor(tensors, entry->name,
                      fmt::format("has dtype {}, which is not supported here", kernels::dtype_info(entry->dtype).name));
  }
  if (vector) MHUB_CHECK_OK(check_finite(tensors, *entry));
  const size_t width = kernels::dtype_info(entry->dtype).block_bytes;
  CheckpointWeight weight;
  weight.bytes = static_cast<uint64_t>(rows * cols) * width;
  weight.source.dtype = entry->dtype;
  weight.source.rows = vector ? 1 : rows;
  weight.source.cols = vector ? rows : cols;
  const std::byte* data = tensors.data(*entry) + static_cast<size_t>(spec.expert * cols * rows * place.step) * width;
  weight.make = [source = weight.source, bytes = weight.bytes, data, rows, cols, place, width] {
    CheckpointWeight made;
    auto values = transposed(data, rows, cols, place, width);
    made.source = source;
    made.source.data = values->data();
    made.bytes = bytes;
    made.owned = std::move(values);
    return made;
  };
  return std::optional(std::move(weight));
}

}  // namespace mhub::model
