// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cpu/host.h"
#include "mhub/kernels/backend.h"

namespace mhub::kernels {

// The instruction sets that this machine can run.
inline std::vector<std::string> isas() {
  std::vector<std::string> names = {"scalar"};
  const cpu::CpuFeatures features = cpu::detect_features();
  if (features.avx2) names.push_back("avx2");
  if (features.avx512) names.push_back("avx512");
  return names;
}

inline std::unique_ptr<Backend> backend(const std::string& isa, Compute compute = Compute::kFloat32, int threads = 2) {
  return make_cpu_backend({.compute = compute, .num_threads = threads, .force_isa = isa});
}

inline TensorView view(std::vector<float>& values, int64_t rows, int64_t cols) {
  return {.data = values.data(), .dtype = DType::kF32, .rows = rows, .cols = cols, .stride = cols};
}

}  // namespace mhub::kernels
