// SPDX-License-Identifier: Apache-2.0
// Tensors on the CUDA device for tests. Memory around and between their rows is NaN, so that whoever reads it shows.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "mhub/kernels/backend.h"
#include "mhub/kernels/half.h"

namespace mhub::kernels::testing {

// $MHUB_BACKEND_PATH, or the library of this build.
inline std::string cuda_library() {
  if (const char* path = std::getenv("MHUB_BACKEND_PATH"); path != nullptr && *path != '\0') return path;
#ifdef MHUB_CUDA_LIBRARY
  return MHUB_CUDA_LIBRARY;
#else
  return "";
#endif
}

// null with *why where this machine or this build has no CUDA.
inline std::unique_ptr<Backend> cuda_backend(DType dtype, std::string* why) {
  const std::string path = cuda_library();
  if (path.empty()) {
    *why = "built without MHUB_BUILD_CUDA";
    return nullptr;
  }
  BackendOptions options;
  options.compute = dtype == DType::kF32 ? Compute::kFloat32 : Compute::kFast;
  options.half_dtype = dtype == DType::kF16 ? DType::kF16 : DType::kBF16;
  return load_cuda_backend(options, path, why);
}

inline std::vector<uint8_t> narrowed(DType dtype, const std::vector<float>& values) {
  std::vector<uint8_t> bytes(values.size() * dtype_info(dtype).block_bytes);
  for (size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::kF32) {
      std::memcpy(bytes.data() + 4 * i, &values[i], 4);
    } else {
      const uint16_t bits = dtype == DType::kF16 ? f16_from_float(values[i]) : bf16_from_float(values[i]);
      std::memcpy(bytes.data() + 2 * i, &bits, 2);
    }
  }
  return bytes;
}

inline std::vector<float> widened(DType dtype, const std::vector<uint8_t>& bytes) {
  std::vector<float> values(bytes.size() / dtype_info(dtype).block_bytes);
  for (size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::kF32) {
      std::memcpy(&values[i], bytes.data() + 4 * i, 4);
    } else {
      const auto bits = load_unaligned<uint16_t>(bytes.data() + 2 * i);
      values[i] = dtype == DType::kF16 ? float_from_f16(bits) : float_from_bf16(bits);
    }
  }
  return values;
}

inline std::vector<float> rounded(DType dtype, const std::vector<float>& values) {
  return widened(dtype, narrowed(dtype, values));
}

class DeviceTensor {
 public:
  // `gap` elements of NaN follow each row; one row of NaN lies before the first and behind the last.
  DeviceTensor(Backend& backend, DType dtype, int64_t rows, int64_t cols, int64_t gap = 0)
      : backend_(backend), dtype_(dtype), rows_(rows), cols_(cols), stride_(cols + gap) {
    host_.assign(static_cast<size_t>((rows + 2) * stride_), std::numeric_limits<float>::quiet_NaN());
    memory_ = backend.allocate(host_.size() * dtype_info(dtype).block_bytes);
    if (!memory_) throw BackendError("no memory for a test");
    upload();
  }
  DeviceTensor(Backend& backend, DType dtype, int64_t rows, int64_t cols, const std::vector<float>& values,
               int64_t gap = 0)
      : DeviceTensor(backend, dtype, rows, cols, gap) {
    for (int64_t r = 0; r < rows; ++r) std::copy_n(values.begin() + r * cols, cols, host_.begin() + (r + 1) * stride_);
    upload();
  }
  TensorView view() {
    return {static_cast<char*>(memory_->data()) + stride_ * dtype_info(dtype_).block_bytes, dtype_, rows_, cols_,
            stride_};
  }
  // Rows without gaps. Fails when something was written outside of them.
  std::vector<float> read() {
    std::vector<uint8_t> bytes(host_.size() * dtype_info(dtype_).block_bytes);
    backend_.copy_to_host(bytes.data(), memory_->data(), bytes.size());
    const std::vector<float> all = widened(dtype_, bytes);
    std::vector<float> inside;
    for (int64_t i = 0; i < static_cast<int64_t>(all.size()); ++i) {
      const int64_t row = i / stride_ - 1, col = i % stride_;
      if (row >= 0 && row < rows_ && col < cols_)
        inside.push_back(all[static_cast<size_t>(i)]);
      else
        EXPECT_TRUE(std::isnan(all[static_cast<size_t>(i)])) << "written outside of the tensor: " << row << "," << col;
    }
    return inside;
  }

 private:
  void upload() {
    const std::vector<uint8_t> bytes = narrowed(dtype_, host_);
    backend_.copy_to_device(memory_->data(), bytes.data(), bytes.size());
  }
  Backend& backend_;
  DType dtype_;
  int64_t rows_, cols_, stride_;
  std::vector<float> host_;
  std::unique_ptr<Buffer> memory_;
};

// How far a result of this type may be from the exact one: its rounding, and that of sums in float32.
inline double tolerance(DType dtype) {
  return dtype == DType::kF32 ? 2e-5 : dtype == DType::kF16 ? 2e-3 : 1.2e-2;
}

}  // namespace mhub::kernels::testing
