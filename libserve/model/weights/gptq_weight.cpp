// SPDX-License-Identifier: Apache-2.0
// GPTQ (qweight packed along inputs) and AWQ (packed along outputs, in an order of its own): both become the group
// codes that back ends take, by rows. GPTQ with reordered inputs (g_idx) has no groups of neighbours and is decoded to
// float32.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "mhub/base/bytes.h"
#include "weights/tensor_check.h"

namespace mhub::model {
namespace {
using formats::TensorEntry;
using formats::TensorTable;
using kernels::DType;

// One module's tensors and how codes lie in them.
struct Packed {
  const std::byte *codes = nullptr, *zeros = nullptr, *scales = nullptr, *order = nullptr;
  int64_t rows = 0, cols = 0, group = 0, groups = 0;  // of the weight [out, in]
  int bits = 4;
  bool awq = false, zeros_less_one = false;

  uint32_t mask() const { return (1u << bits) - 1; }
  int64_t per_word() const { return 32 / bits; }
  // Bit position of output `row` within a word that packs along outputs.
  int64_t shift(int64_t row) const {
    constexpr std::array<int64_t, 8> kAwqNibble = {0, 4, 1, 5, 2, 6, 3, 7};
    return bits * (awq ? kAwqNibble[static_cast<size_t>(row % 8)] : row % per_word());
  }
  uint32_t code(int64_t row, int64_t col) const {
    if (awq) return load_le<uint32_t>(codes + 4 * (col * (rows / 8) + row / 8)) >> shift(row) & mask();
    return load_le<uint32_t>(codes + 4 * (col / per_word() * rows + row)) >> (bits * (col % per_word())) & mask();
  }
  uint32_t zero(int64_t row, int64_t g) const {
    const uint32_t stored = load_le<uint32_t>(zeros + 4 * (g * (rows / per_word()) + row / per_word())) >> shift(row);
    return (stored + (zeros_less_one ? 1 : 0)) & mask();
  }
  int64_t group_of(int64_t col) const { return order ? load_le<int32_t>(order + 4 * col) : col / group; }
};

Result<void> require(const TensorTable& tensors, const TensorEntry& entry, DType dtype, std::vector<int64_t> shape) {
  if (entry.dtype == dtype && entry.shape == shape) return {};
  return bad_tensor(tensors, entry.name,
                    fmt::format("is {} [{}], {} [{}] was expected", kernels::dtype_info(entry.dtype).name,
                                fmt::join(entry.shape, ", "), kernels::dtype_info(dtype).name, fmt::join(shape, ", ")));
}

// g_idx: null when it says what the column says anyway.
Result<const std::byte*> read_order(const TensorTable& tensors, const TensorEntry& entry, const Packed& p) {
  MHUB_CHECK_OK(require(tensors, entry, DType::kI32, {p.cols}));
  const std::byte* order = tensors.data(entry);
  bool trivial = true;
  for (int64_t col = 0; col < p.cols; ++col) {
    const int64_t group = load_le<int32_t>(order + 4 * col);
    if (group < 0 || group >= p.groups)
      return bad_tensor(tensors, entry.name, fmt::format("names group {} of {}", group, p.groups));
    trivial = trivial && group == col / p.group;
  }
  return trivial ? nullptr : order;
}

CheckpointWeight decoded(const Packed& p, const CheckpointWeight& shape) {
  auto bytes = std::make_shared<std::vector<std::byte>>(shape.bytes);
  auto* out = reinterpret_cast<float*>(bytes->data());
  kernels::MatrixSource scales;
  scales.dtype = shape.source.scale_dtype;
  scales.rows = p.groups;
  scales.cols = p.rows;
  scales.data = p.scales;
  std::vector<float> scale(static_cast<size_t>(p.groups * p.rows));
  kernels::dequantize_rows(scales, 0, p.groups, scale.data());
  for (int64_t row = 0; row < p.rows; ++row) {
    for (int64_t col = 0; col < p.cols; ++col) {
      const int64_t g = p.group_of(col);
      const auto code = static_cast<int32_t>(p.code(row, col)) - static_cast<int32_t>(p.zero(row, g));
      *out++ = scale[static_cast<size_t>(g * p.rows + row)] * static_cast<float>(code);
    }
  }
  CheckpointWeight made;
  made.source.rows = p.rows;
  made.source.cols = p.cols;
  made.source.data = bytes->data();
  made.bytes = shape.bytes;
  made.owned = std::move(bytes);
  return made;
}

// Codes by rows, scales [rows, groups], zero points packed along rows (MatrixSource).
CheckpointWeight repacked(const Packed& p, const CheckpointWeight& shape) {
  const int64_t per_word = p.per_word(), words = (p.cols + per_word - 1) / per_word;
  const size_t code_bytes = static_cast<size_t>(p.rows * words) * 4,
               scale_bytes = static_cast<size_t>(p.rows * p.groups) * 2;
  auto bytes = std::make_shared<std::vector<std::byte>>(shape.bytes);
  std::byte* const scales = bytes->data() + code_bytes;
  std::byte* const zeros = scales + (scale_bytes + 3) / 4 * 4;
  for (int64_t row = 0; row < p.rows; ++row) {
    for (int64_t word = 0; word < words; ++word) {
      uint32_t packed = 0;
      for (int64_t i = 0; i < per_word && word * per_word + i < p.cols; ++i)
        packed |= p.code(row, word * per_word + i) << (p.bits * i);
      store_le(bytes->data() + 4 * (row * words + word), packed);
    }
    for (int64_t g = 0; g < p.groups; ++g) {
      store_le(scales + 2 * (row * p.groups + g), load_le<uint16_t>(p.scales + 2 * (g * p.rows + row)));
      std::byte* const zero = zeros + 4 * (row / per_word * p.groups + g);
      store_le(zero, load_le<uint32_t>(zero) | p.zero(row, g) << (p.bits * (row % per_word)));
    }
  }
  CheckpointWeight made;
  made.source = shape.source;
  made.source.data = bytes->data();
  made.source.scales = scales;
  made.source.zeros = zeros;
  made.bytes = shape.bytes;
  made.owned = std::move(bytes);
  return made;
}

}  // namespace

Result<std::optional<CheckpointWeight>> gptq_weight(const TensorTable& tensors, const WeightSpec& spec,
                                                    const formats::CompressedTensors& quantization,
                                                    std::set<std::string, std::less<>>& used) {
  const std::string module = spec.name.substr(0, spec.name.rfind('.') + 1);
  const auto* codes = tensors.find(module + "qweight");
  if (!codes) return std::optional<CheckpointWeight>();
  const auto* zeros = tensors.find(module + "qzeros");
  const auto* scales = tensors.find(module + "scales");
  const auto* order = tensors.find(module + "g_idx");
  if (!zeros) return missing_tensor(tensors, module + "qzeros");
  if (!scales) return missing_tensor(tensors, module + "scales");
  Packed p;
  p.awq = quantization.format == "awq";
  p.bits = quantization.num_bits;
  p.zeros_less_one = quantization.zeros_less_one;
  p.rows = spec.rows;
  p.cols = spec.cols;
  p.group = quantization.group_size > 0 ? quantization.group_size : spec.cols;
  p.groups = (p.cols + p.group - 1) / p.group;
  if (p.rows % p.per_word() != 0 || p.cols % p.per_word() != 0) {
    return bad_tensor(
        tensors, codes->name,
        fmt::format("packs {} codes a word, a [{}, {}] weight is no multiple of that", p.per_word(), p.rows, p.cols));
  }
  const std::vector<int64_t> along_in = {p.cols / p.per_word(), p.rows}, along_out = {p.cols, p.rows / p.per_word()};
  MHUB_CHECK_OK(require(tensors, *codes, DType::kI32, p.awq ? along_out : along_in));
  MHUB_CHECK_OK(require(tensors, *zeros, DType::kI32, {p.groups, p.rows / p.per_word()}));
  MHUB_CHECK_OK(
      require(tensors, *scales, scales->dtype == DType::kBF16 ? DType::kBF16 : DType::kF16, {p.groups, p.rows}));
  MHUB_CHECK_OK(check_finite(tensors, *scales));
  used.insert({codes->name, zeros->name, scales->name});
  if (order) {
    used.insert(order->name);
    MHUB_TRY(p.order, read_order(tensors, *order, p));
  }
  p.codes = tensors.data(*codes);
  p.zeros = tensors.data(*zeros);
  p.scales = tensors.data(*scales);

  CheckpointWeight weight;
  weight.source.rows = p.rows;
  weight.source.cols = p.cols;
  weight.source.scale_dtype = scales->dtype;
  if (p.order) {
    weight.bytes = static_cast<uint64_t>(p.rows * p.cols) * sizeof(float);
    weight.make = [p, shape = weight] { return decoded(p, shape); };
    return std::optional(std::move(weight));
  }
  weight.source.dtype = p.bits == 4 ? DType::kU4 : DType::kI8;
  weight.source.packed_i8 = p.bits == 8;
  weight.source.group_size = p.group;
  weight.bytes = codes->bytes + (scales->bytes + 3) / 4 * 4 + zeros->bytes;
  weight.make = [p, shape = weight] { return repacked(p, shape); };
  return std::optional(std::move(weight));
}

}  // namespace mhub::model
