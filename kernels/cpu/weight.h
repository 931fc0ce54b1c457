// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "host_memory.h"
#include "mhub/kernels/backend.h"
#include "packed_layout.h"
#include "thread_pool.h"

namespace mhub::kernels::cpu {

// A matrix in its source's layout, read in place or copied: the float types, and groups that no packed layout holds.
class SourcePart {
 public:
  // nullopt when memory is short.
  static std::optional<SourcePart> make(const MatrixSource& source, bool in_place, HostArena& arena);

  int64_t rows() const { return source_.rows; }
  size_t resident_bytes() const { return data_.bytes() + scales_.bytes() + zeros_.bytes(); }
  const MatrixSource& source() const { return source_; }
  bool is_float() const { return source_.scales == nullptr; }
  void decode_row(int64_t row, float* out) const { dequantize_rows(source_, row, 1, out); }

 private:
  MatrixSource source_;
  HostMemory data_, scales_, zeros_;
};

// A quantized matrix as panels of 16 rows (packed_layout.h).
class PackedPart {
 public:
  // nullopt when memory is short.
  static std::optional<PackedPart> make(const MatrixSource& source, const PackedLayout& layout, HostArena& arena,
                                        ThreadPool& pool);

  int64_t rows() const { return rows_; }
  size_t resident_bytes() const { return memory_.bytes(); }
  const PackedLayout& layout() const { return layout_; }
  const uint8_t* panel(int64_t index) const { return memory_.data() + index * panel_bytes(layout_); }
  void decode_row(int64_t row, float* out) const;

 private:
  PackedLayout layout_;
  int64_t rows_ = 0, cols_ = 0;
  HostMemory memory_;
};

using WeightPart = std::variant<SourcePart, PackedPart>;

inline int64_t part_rows(const WeightPart& part) {
  return std::visit([](const auto& p) { return p.rows(); }, part);
}

// Matrices stacked along rows.
class CpuWeight final : public PreparedWeight {
 public:
  CpuWeight(int64_t rows, int64_t cols, std::vector<WeightPart> parts)
      : rows_(rows), cols_(cols), parts_(std::move(parts)) {}

  int64_t rows() const override { return rows_; }
  int64_t cols() const override { return cols_; }
  size_t resident_bytes() const override;
  const std::vector<WeightPart>& parts() const { return parts_; }

 private:
  int64_t rows_, cols_;
  std::vector<WeightPart> parts_;
};

// null with *why when a source has a format or shape that no kernel multiplies, or memory is short.
std::unique_ptr<CpuWeight> make_weight(std::span<const MatrixSource> stacked, bool keep_source, HostArena& arena,
                                       ThreadPool& pool, std::string* why);

}  // namespace mhub::kernels::cpu
