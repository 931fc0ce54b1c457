// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cublasLt.h>

#include <map>
#include <memory>
#include <tuple>

#include "cuda/resources.h"
#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

// out = x * W^T + bias by cuBLASLt or skinny_linear(). Which algorithm multiplies a shape is decided the first time
// that shape comes, by measurement for the few rows of decoding, and kept.
class Linear {
 public:
  explicit Linear(cudaStream_t stream);
  ~Linear();
  // weight [N, K] and x [T, K] of one type, out [T, N] of that type or F32. bias [N] of out's type, or null.
  void run(TensorView out, TensorView x, TensorView weight, const void* bias);

 private:
  struct Choice {
    cublasLtMatmulAlgo_t algorithm{};
    int skinny = -1;  // variant of skinny_linear() that beats cuBLASLt's algorithms; -1 = none
  };
  struct Plan;
  using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, DType, DType, bool>;
  Plan& plan_for(TensorView out, TensorView x, TensorView weight, const void* bias);
  void choose_algorithm(Plan& plan, TensorView out, TensorView x, TensorView weight, const void* bias);
  cublasStatus_t multiply(const Plan& plan, const cublasLtMatmulAlgo_t& algorithm, TensorView out, TensorView x,
                          TensorView weight) const;
  template <class F>
  float measure(size_t rounds, F multiply_once);
  bool usable(const Plan& plan, const Choice& choice) const;

  cudaStream_t stream_;
  cublasLtHandle_t handle_ = nullptr;
  DeviceMemory workspace_;
  DeviceMemory flush_;  // written between measurements, so that the weight is not found in the cache
  Event begin_{cudaEventDefault}, end_{cudaEventDefault};
  std::map<Key, std::unique_ptr<Plan>> plans_;
  std::map<Key, Choice> choices_;  // by buckets of rows
};

}  // namespace mhub::kernels::cuda
