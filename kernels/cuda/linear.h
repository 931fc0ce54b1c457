// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cublasLt.h>

#include <map>
#include <memory>
#include <tuple>

#include "cuda/products/streamed_linear.h"
#include "cuda/resources.h"
#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

// out = x * W^T + bias by cuBLASLt, skinny_linear() or StreamedLinear. Which of them multiplies a shape is decided the
// first time that shape comes, by measurement between two small kernels as in a step, and kept.
class Linear {
 public:
  explicit Linear(cudaStream_t stream);
  ~Linear();
  // Row counts that share one measurement; the greatest of them.
  static int64_t bucket_of(int64_t rows);
  // weight [N, K] and x [T, K] of one type, out [T, N] of that type or F32. bias [N] of out's type, or null.
  void run(TensorView out, TensorView x, TensorView weight, const void* bias);
  // out [T, N / 2] = activation of x * W^T + bias, whose first half are the gates. gate_up [T, N] may be written.
  void run_gated(TensorView out, TensorView gate_up, TensorView x, TensorView weight, const void* bias,
                 const GatedActivation& activation);

 private:
  struct Choice {
    cublasLtMatmulAlgo_t algorithm{};
    // What beats cuBLASLt's algorithms, if anything.
    int skinny = -1;  // a variant
    bool streamed = false;
  };
  struct Plan;
  using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, DType, DType, bool>;
  Plan& plan_for(TensorView out, TensorView x, TensorView weight, const void* bias);
  void choose_algorithm(Plan& plan, TensorView out, TensorView x, TensorView weight, const void* bias);
  cublasStatus_t multiply(const Plan& plan, const cublasLtMatmulAlgo_t& algorithm, TensorView out, TensorView x,
                          TensorView weight) const;
  void run_own(const Choice& choice, TensorView out, TensorView x, TensorView weight, const void* bias) const;
  template <class F>
  float measure(size_t rounds, int64_t rows, F multiply_once);
  bool streams_gated(TensorView out, TensorView gate_up, TensorView x, TensorView weight, const void* bias,
                     const GatedActivation& activation);
  bool capturing() const;
  bool usable(const Plan& plan, const Choice& choice) const;

  cudaStream_t stream_;
  cublasLtHandle_t handle_ = nullptr;
  DeviceMemory workspace_;
  StreamedLinear streamed_;
  DeviceMemory flush_;  // written between measurements, so that the weight is not found in the cache
  Event begin_{cudaEventDefault}, end_{cudaEventDefault};
  std::map<Key, std::unique_ptr<Plan>> plans_;
  std::map<Key, Choice> choices_;  // by buckets of rows
  std::map<Key, bool> gated_;      // likewise: whether a streamed product with its activation is the faster way
};

}  // namespace mhub::kernels::cuda
