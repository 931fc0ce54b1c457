// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host_memory.h"
#include "isa.h"
#include "mhub/kernels/backend.h"

namespace mhub::kernels::cpu {

// One matrix of a weight in its source's layout, read in place or copied. Multiplied as float32.
class SourcePart {
 public:
  // null when memory is short.
  static std::unique_ptr<SourcePart> make(const MatrixSource& source, bool in_place);

  const MatrixSource& source() const { return source_; }
  size_t resident_bytes() const { return data_.bytes() + scales_.bytes() + zeros_.bytes(); }
  bool is_float() const { return !is_block_type(source_.dtype) && source_.scales == nullptr; }

 private:
  MatrixSource source_;
  HostMemory data_, scales_, zeros_;
};

// Matrices stacked along rows.
class CpuWeight final : public PreparedWeight {
 public:
  CpuWeight(int64_t rows, int64_t cols, std::vector<std::unique_ptr<SourcePart>> parts)
      : rows_(rows), cols_(cols), parts_(std::move(parts)) {}

  int64_t rows() const override { return rows_; }
  int64_t cols() const override { return cols_; }
  size_t resident_bytes() const override;
  const std::vector<std::unique_ptr<SourcePart>>& parts() const { return parts_; }

 private:
  int64_t rows_, cols_;
  std::vector<std::unique_ptr<SourcePart>> parts_;
};

// null with *why when a source has a format or shape that no kernel multiplies, or memory is short.
std::unique_ptr<CpuWeight> make_weight(std::span<const MatrixSource> stacked, bool keep_source, std::string* why);

}  // namespace mhub::kernels::cpu
