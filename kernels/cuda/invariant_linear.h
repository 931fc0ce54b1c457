// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cublasLt.h>

#include <map>
#include <tuple>

#include "cuda/resources.h"
#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

// out = x * W^T + bias by one algorithm per matrix, whatever the number of rows, and without splitting the sums: a row
// of the result depends on its own row of x alone.
class InvariantLinear {
 public:
  explicit InvariantLinear(cudaStream_t stream);
  ~InvariantLinear();
  InvariantLinear(const InvariantLinear&) = delete;
  InvariantLinear& operator=(const InvariantLinear&) = delete;
  // As Linear::run().
  void run(TensorView out, TensorView x, TensorView weight, const void* bias);

 private:
  struct Choice {
    cublasLtMatmulAlgo_t algorithm{};
    bool plain = false;  // no algorithm of cuBLASLt takes few rows and many
  };
  struct Call;
  // Columns of out and of x, strides, types, bias.
  using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, DType, DType, bool>;
  const Choice& choice_for(const TensorView& out, const TensorView& x, const TensorView& weight, bool bias);
  bool takes(const Call& call, const cublasLtMatmulAlgo_t& algorithm) const;

  cudaStream_t stream_;
  cublasLtHandle_t handle_ = nullptr;
  DeviceMemory workspace_;
  std::map<Key, Choice> choices_;
};

}  // namespace mhub::kernels::cuda
