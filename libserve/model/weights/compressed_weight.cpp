// SPDX-License-Identifier: Apache-2.0
// Quantized Linear weights of compressed-tensors: pack-quantized (weight_packed) and int-quantized (I8 weight). Inputs
// grouped in the order of their activations (weight_g_idx) have no groups of neighbours and are decoded to float32.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "mhub/base/bytes.h"
#include "weights/tensor_check.h"

namespace mhub::model {
namespace {
using formats::TensorEntry;
using formats::TensorTable;
using kernels::DType;

int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

Result<void> require_shape(const TensorTable& tensors, const TensorEntry& entry, DType dtype,
                           const std::vector<int64_t>& shape) {
  if (entry.dtype == dtype && entry.shape == shape) return {};
  return bad_tensor(tensors, entry.name,
                    fmt::format("is {} [{}], {} [{}] was expected", kernels::dtype_info(entry.dtype).name,
                                fmt::join(entry.shape, ", "), kernels::dtype_info(dtype).name, fmt::join(shape, ", ")));
}

// Sets scales and group size.
Result<void> take_scales(const TensorTable& tensors, const TensorEntry& scale, int64_t group_size,
                         CheckpointWeight& weight) {
  kernels::MatrixSource& source = weight.source;
  source.group_size = group_size == 0 ? source.cols : group_size;
  const int64_t groups = ceil_div(source.cols, source.group_size);
  const bool per_row = groups == 1 && scale.shape == std::vector<int64_t>{source.rows};
  if (!per_row && scale.shape != std::vector<int64_t>{source.rows, groups}) {
    return bad_tensor(
        tensors, scale.name,
        fmt::format("has shape [{}], group size {} of a [{}, {}] weight needs [{}, {}]", fmt::join(scale.shape, ", "),
                    source.group_size, source.rows, source.cols, source.rows, groups));
  }
  if (scale.dtype != DType::kF32 && scale.dtype != DType::kF16 && scale.dtype != DType::kBF16) {
    return bad_tensor(tensors, scale.name,
                      fmt::format("has dtype {}, scales are F32, F16 or BF16", kernels::dtype_info(scale.dtype).name));
  }
  MHUB_CHECK_OK(check_finite(tensors, scale));
  source.scales = tensors.data(scale);
  source.scale_dtype = scale.dtype;
  weight.bytes += scale.bytes;
  return {};
}

// Zero points as the back end reads them: I32 words along rows. Older files have one I8 per group, packed here.
Result<void> take_zeros(const TensorTable& tensors, const TensorEntry& zero, int bits, CheckpointWeight& weight) {
  kernels::MatrixSource& source = weight.source;
  const int64_t groups = ceil_div(source.cols, source.group_size), per_word = 32 / bits;
  const int64_t words = ceil_div(source.rows, per_word) * groups;
  weight.bytes += static_cast<uint64_t>(words) * 4;
  if (zero.dtype != DType::kI8) {
    MHUB_CHECK_OK(require_shape(tensors, zero, DType::kI32, {ceil_div(source.rows, per_word), groups}));
    source.zeros = tensors.data(zero);
    return {};
  }
  MHUB_CHECK_OK(require_shape(tensors, zero, DType::kI8, {source.rows, groups}));
  auto packed = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(words) * 4);
  const auto* values = reinterpret_cast<const int8_t*>(tensors.data(zero));
  const int offset = 1 << (bits - 1);
  for (int64_t row = 0; row < source.rows; ++row) {
    for (int64_t group = 0; group < groups; ++group) {
      const int value = values[row * groups + group] + offset;
      if (value < 0 || value >= 1 << bits)
        return bad_tensor(tensors, zero.name, fmt::format("holds {}, outside of {} bits", value - offset, bits));
      std::byte* word = packed->data() + (row / per_word * groups + group) * 4;
      store_le(word, load_le<uint32_t>(word) | static_cast<uint32_t>(value) << (row % per_word * bits));
    }
  }
  source.zeros = packed->data();
  weight.owned = std::move(packed);
  return {};
}

// weight_g_idx, the group of each input: null when it says what the column says anyway, or nothing (-1).
Result<const std::byte*> read_order(const TensorTable& tensors, const TensorEntry& entry,
                                    const kernels::MatrixSource& source) {
  MHUB_CHECK_OK(require_shape(tensors, entry, DType::kI32, {source.cols}));
  const std::byte* order = tensors.data(entry);
  const int64_t groups = ceil_div(source.cols, source.group_size);
  bool trivial = true, unset = true;
  for (int64_t col = 0; col < source.cols; ++col) {
    const int64_t group = load_le<int32_t>(order + 4 * col);
    unset = unset && group == -1;
    if (!unset && (group < 0 || group >= groups))
      return bad_tensor(tensors, entry.name, fmt::format("names group {} of {}", group, groups));
    trivial = trivial && group == col / source.group_size;
  }
  return trivial || unset ? nullptr : order;
}

// The float32 matrix of packed codes whose columns belong to the groups that `order` names. `packed` is kept alive.
CheckpointWeight decoded(const CheckpointWeight& packed, const std::byte* order, int bits) {
  const kernels::MatrixSource& source = packed.source;
  const int64_t groups = ceil_div(source.cols, source.group_size), per_word = 32 / bits,
                words = ceil_div(source.cols, per_word);
  const uint32_t mask = (1u << bits) - 1, middle = 1u << (bits - 1);
  const auto* codes = static_cast<const std::byte*>(source.data);
  const auto* zeros = static_cast<const std::byte*>(source.zeros);
  kernels::MatrixSource scale_table;
  scale_table.dtype = source.scale_dtype;
  scale_table.rows = source.rows;
  scale_table.cols = groups;
  scale_table.data = source.scales;
  std::vector<float> scales(static_cast<size_t>(source.rows * groups));
  kernels::dequantize_rows(scale_table, 0, source.rows, scales.data());
  auto bytes = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(source.rows * source.cols) * sizeof(float));
  auto* out = reinterpret_cast<float*>(bytes->data());
  for (int64_t row = 0; row < source.rows; ++row) {
    for (int64_t col = 0; col < source.cols; ++col) {
      const int64_t g = load_le<int32_t>(order + 4 * col);
      const uint32_t code =
          load_le<uint32_t>(codes + 4 * (row * words + col / per_word)) >> (bits * (col % per_word)) & mask;
      const uint32_t zero =
          zeros ? load_le<uint32_t>(zeros + 4 * (row / per_word * groups + g)) >> (bits * (row % per_word)) & mask
                : middle;
      *out++ = scales[static_cast<size_t>(row * groups + g)] *
               static_cast<float>(static_cast<int32_t>(code) - static_cast<int32_t>(zero));
    }
  }
  CheckpointWeight made;
  made.source.rows = source.rows;
  made.source.cols = source.cols;
  made.source.data = bytes->data();
  made.bytes = bytes->size();
  made.owned = std::move(bytes);
  return made;
}

}  // namespace

Result<std::optional<CheckpointWeight>> quantized_weight(const TensorTable& tensors, const WeightSpec& spec,
                                                         const formats::CompressedTensors& quantization,
                                                         std::set<std::string, std::less<>>& used) {
  const std::string& format = quantization.format;
  if (format == "fp8" || format == "float-quantized") return float8_weight(tensors, spec, used);
  if (format == "gptq" || format == "awq") return gptq_weight(tensors, spec, quantization, used);
  if (format == "mxfp4") return std::optional<CheckpointWeight>();  // weights/stacked_experts.cpp
  return compressed_weight(tensors, spec, quantization, used);
}

Result<std::optional<CheckpointWeight>> compressed_weight(const TensorTable& tensors, const WeightSpec& spec,
                                                          const formats::CompressedTensors& quantization,
                                                          std::set<std::string, std::less<>>& used) {
  const TensorEntry* packed = tensors.find(spec.name + "_packed");
  const TensorEntry* plain = tensors.find(spec.name);
  if (!packed && (!plain || plain->dtype != DType::kI8)) return std::optional<CheckpointWeight>();
  if (packed && plain) return bad_tensor(tensors, spec.name, "is there twice, plain and packed");
  const TensorEntry& codes = packed ? *packed : *plain;
  const int bits = packed ? quantization.num_bits : 8;

  CheckpointWeight weight;
  kernels::MatrixSource& source = weight.source;
  source.rows = spec.rows;
  source.cols = spec.cols;
  source.dtype = bits == 4 ? DType::kU4 : DType::kI8;
  source.packed_i8 = packed && bits == 8;
  source.data = tensors.data(codes);
  weight.bytes = codes.bytes;
  used.insert(codes.name);
  if (packed)
    MHUB_CHECK_OK(require_shape(tensors, codes, DType::kI32, {spec.rows, ceil_div(spec.cols, 32 / bits)}));
  else
    MHUB_CHECK_OK(require_shape(tensors, codes, DType::kI8, {spec.rows, spec.cols}));

  if (const TensorEntry* shape = tensors.find(spec.name + "_shape")) {
    const bool wide = shape->dtype == DType::kI64;
    MHUB_CHECK_OK(require_shape(tensors, *shape, wide ? DType::kI64 : DType::kI32, {2}));
    const std::byte* at = tensors.data(*shape);
    const auto side = [&](int i) { return wide ? load_le<int64_t>(at + 8 * i) : load_le<int32_t>(at + 4 * i); };
    if (side(0) != spec.rows || side(1) != spec.cols) {
      return bad_tensor(
          tensors, shape->name,
          fmt::format("says [{}, {}], the configuration needs [{}, {}]", side(0), side(1), spec.rows, spec.cols));
    }
    used.insert(shape->name);
  }
  const TensorEntry* scale = tensors.find(spec.name + "_scale");
  if (!scale) return missing_tensor(tensors, spec.name + "_scale");
  used.insert(scale->name);
  MHUB_CHECK_OK(take_scales(tensors, *scale, quantization.group_size, weight));
  const TensorEntry* zero = tensors.find(spec.name + "_zero_point");
  if (!zero && !quantization.symmetric) return missing_tensor(tensors, spec.name + "_zero_point");
  if (zero) {
    used.insert(zero->name);
    MHUB_CHECK_OK(take_zeros(tensors, *zero, bits, weight));
  }
  if (const TensorEntry* order = tensors.find(spec.name + "_g_idx"); order && packed) {
    used.insert(order->name);
    MHUB_TRY(const std::byte* reordered, read_order(tensors, *order, source));
    if (reordered) {
      CheckpointWeight floats;
      floats.source.rows = spec.rows;
      floats.source.cols = spec.cols;
      floats.bytes = static_cast<uint64_t>(spec.rows * spec.cols) * sizeof(float);
      floats.make = [weight, reordered, bits] { return decoded(weight, reordered, bits); };
      return std::optional(std::move(floats));
    }
  }
  return std::optional(std::move(weight));
}

}  // namespace mhub::model
