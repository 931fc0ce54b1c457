// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <initializer_list>
#include <string>

#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

// "linear [4, 576] x [960, 576]: an illegal memory access was encountered". A failed kernel is reported by the call
// that notices it, which may come after the one at fault (CUDA_LAUNCH_BLOCKING=1 makes them the same).
[[noreturn]] inline void fail(const char* operation, std::initializer_list<int64_t> shape, const char* reason) {
  std::string text(operation);
  const char* before = " [";
  for (const int64_t side : shape) {
    text += before + std::to_string(side);
    before = ", ";
  }
  if (shape.size() > 0) text += "]";
  throw BackendError(text + ": " + reason);
}

inline void check(cudaError_t error, const char* operation, std::initializer_list<int64_t> shape = {}) {
  if (error != cudaSuccess) fail(operation, shape, cudaGetErrorString(error));
}

// After a kernel launch.
inline void check_launch(const char* operation, std::initializer_list<int64_t> shape) {
  check(cudaGetLastError(), operation, shape);
}

inline void require(bool condition, const char* operation, std::initializer_list<int64_t> shape, const char* reason) {
  if (!condition) fail(operation, shape, reason);
}

}  // namespace mhub::kernels::cuda
