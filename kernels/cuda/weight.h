// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cuda/resources.h"
#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

// Matrices stacked along rows, in the type that the back end computes in, row-major [rows, stride].
class CudaWeight final : public PreparedWeight {
 public:
  static constexpr int64_t kAlignElements = 8;  // rows start 16 bytes apart or a multiple, as fast products need
  static int64_t stride_of(int64_t cols) { return (cols + kAlignElements - 1) / kAlignElements * kAlignElements; }

  CudaWeight(DType dtype, int64_t rows, int64_t cols, DeviceMemory memory)
      : dtype_(dtype), rows_(rows), cols_(cols), memory_(std::move(memory)) {}

  int64_t rows() const override { return rows_; }
  int64_t cols() const override { return cols_; }
  size_t resident_bytes() const override { return memory_.bytes(); }
  TensorView view() const { return {memory_.as<>(), dtype_, rows_, cols_, stride_of(cols_)}; }

 private:
  DType dtype_;
  int64_t rows_, cols_;
  DeviceMemory memory_;
};

}  // namespace mhub::kernels::cuda
