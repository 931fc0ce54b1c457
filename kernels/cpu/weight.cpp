// SPDX-License-Identifier: Apache-2.0
#include "weight.h"

#include <cstring>

#include "packing.h"

namespace mhub::kernels::cpu {
namespace {

constexpr int64_t kMaxSide = int64_t{1} << 31;  // keeps every product of two sides within int64

std::string defect_of(const MatrixSource& s) {
  const std::string type(dtype_info(s.dtype).name);
  if (s.rows < 0 || s.cols <= 0 || s.rows > kMaxSide || s.cols > kMaxSide)
    return "a matrix of " + std::to_string(s.rows) + " x " + std::to_string(s.cols) + " cannot be multiplied";
  if (s.data == nullptr && s.rows > 0) return "the matrix has no data";
  switch (s.dtype) {
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
      return "";
    case DType::kU4:
    case DType::kI8:
    case DType::kF8E4M3:
      if (s.group_rows <= 0) return type + " needs rows per scale";
      if (s.scales == nullptr || s.group_size <= 0) return type + " needs scales and a group size";
      if (s.scale_dtype != DType::kF32 && s.scale_dtype != DType::kF16 && s.scale_dtype != DType::kBF16)
        return "scales of type " + std::string(dtype_info(s.scale_dtype).name) + " are not supported";
      return "";
    default:
      break;
  }
  if (!is_block_type(s.dtype)) return "matrices of type " + type + " are not supported by the cpu back end";
  if (!row_bytes(s.dtype, static_cast<uint64_t>(s.cols)))
    return std::to_string(s.cols) + " columns are no multiple of " + type + "'s block of " +
           std::to_string(dtype_info(s.dtype).block_elems);
  return "";
}

int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

struct SourceBytes {
  int64_t data, scales, zeros;
};
SourceBytes bytes_of(const MatrixSource& s) {
  if (s.scales == nullptr)
    return {s.rows * static_cast<int64_t>(*row_bytes(s.dtype, static_cast<uint64_t>(s.cols))), 0, 0};
  const int64_t per_word = s.dtype == DType::kU4 ? 8 : 4;
  if (s.dtype == DType::kF8E4M3) {
    const int64_t scale_rows = (s.first_row + s.rows - 1) / s.group_rows + 1;
    return {s.rows * s.cols, scale_rows * ceil_div(s.cols, s.group_size) * dtype_info(s.scale_dtype).block_bytes, 0};
  }
  const bool packed = s.dtype == DType::kU4 || s.packed_i8;
  const int64_t groups = ceil_div(s.cols, s.group_size);
  return {s.rows * (packed ? 4 * ceil_div(s.cols, per_word) : s.cols),
          s.rows * groups * dtype_info(s.scale_dtype).block_bytes,
          s.zeros == nullptr ? 0 : 4 * ceil_div(s.rows, per_word) * groups};
}

bool copy_into(HostArena& arena, HostMemory& memory, const void*& bytes, int64_t count) {
  if (bytes == nullptr || count == 0) return true;
  memory = arena.allocate(static_cast<size_t>(count));
  if (!memory) return false;
  std::memcpy(memory.data(), bytes, static_cast<size_t>(count));
  bytes = memory.data();
  return true;
}

}  // namespace

std::optional<SourcePart> SourcePart::make(const MatrixSource& source, bool in_place, HostArena& arena) {
  SourcePart part;
  part.source_ = source;
  if (in_place) return part;
  const SourceBytes bytes = bytes_of(source);
  if (copy_into(arena, part.data_, part.source_.data, bytes.data) &&
      copy_into(arena, part.scales_, part.source_.scales, bytes.scales) &&
      copy_into(arena, part.zeros_, part.source_.zeros, bytes.zeros))
    return part;
  return std::nullopt;
}

std::optional<PackedPart> PackedPart::make(const MatrixSource& source, const PackedLayout& layout, HostArena& arena,
                                           ThreadPool& pool) {
  PackedPart part;
  part.layout_ = layout;
  part.rows_ = source.rows;
  part.cols_ = source.cols;
  const int64_t panels = ceil_div(source.rows, kPanelRows), bytes = panel_bytes(layout);
  if (panels == 0) return part;
  part.memory_ = arena.allocate(static_cast<size_t>(panels * bytes));
  if (!part.memory_) return std::nullopt;
  pool.run(panels, [&](int64_t panel, int) { pack_panel(source, layout, panel, part.memory_.data() + panel * bytes); });
  return part;
}

void PackedPart::decode_row(int64_t row, float* out) const {
  decode_panel_row(layout_, panel(row / kPanelRows), row % kPanelRows, cols_, out);
}

size_t CpuWeight::resident_bytes() const {
  size_t total = 0;
  for (const WeightPart& part : parts_) total += std::visit([](const auto& p) { return p.resident_bytes(); }, part);
  return total;
}

std::unique_ptr<CpuWeight> make_weight(std::span<const MatrixSource> stacked, bool keep_source, HostArena& arena,
                                       ThreadPool& pool, std::string* why) {
  const auto refuse = [why](std::string reason) -> std::unique_ptr<CpuWeight> {
    if (why != nullptr) *why = std::move(reason);
    return nullptr;
  };
  if (stacked.empty()) return refuse("no matrix to prepare");
  int64_t rows = 0;
  std::vector<WeightPart> parts;
  for (const MatrixSource& source : stacked) {
    if (std::string defect = defect_of(source); !defect.empty()) return refuse(std::move(defect));
    if (source.cols != stacked.front().cols) return refuse("stacked matrices differ in their columns");
    if (const auto layout = layout_of(source)) {
      auto part = PackedPart::make(source, *layout, arena, pool);
      if (!part) return refuse("not enough memory for a matrix");
      parts.emplace_back(std::move(*part));
    } else {
      auto part = SourcePart::make(source, keep_source, arena);
      if (!part) return refuse("not enough memory for a matrix");
      parts.emplace_back(std::move(*part));
    }
    rows += source.rows;
  }
  return std::make_unique<CpuWeight>(rows, stacked.front().cols, std::move(parts));
}

}  // namespace mhub::kernels::cpu
