// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "isa.h"
#include "thread_pool.h"
#include "weight.h"

namespace mhub::kernels::cpu {

// out[T,N] = x[T,K] * W^T + bias over all parts of a weight. Keeps scratch between calls.
class Linear {
 public:
  Linear(const Isa& isa, ThreadPool& pool);
  void run(TensorView out, TensorView x, const CpuWeight& weight, const float* bias);

 private:
  void run_source(TensorView out, TensorView x, const SourcePart& part, const float* bias);

  const Isa& isa_;
  ThreadPool& pool_;
  std::vector<std::vector<float>> decoded_;  // per thread: one tile of weight rows as float32
};

}  // namespace mhub::kernels::cpu
