// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "cuda/step_inputs.h"

namespace mhub::kernels::cuda {

// Recorded steps (CUDA graphs), one per shape and layout of the announced inputs. A shape runs once as it is, so that
// whatever is decided on first sight is decided, is recorded the second time, and replayed from then on.
class StepGraphs {
 public:
  StepGraphs(cudaStream_t stream, StepInputsOnDevice& inputs) : stream_(stream), inputs_(inputs) {}
  ~StepGraphs() { clear(); }
  StepGraphs(const StepGraphs&) = delete;
  StepGraphs& operator=(const StepGraphs&) = delete;

  void run(uint64_t shape, const std::function<void()>& operations);
  void clear();

 private:
  struct Recorded {
    cudaGraphExec_t graph = nullptr;  // null: seen once
    std::vector<StepInputsOnDevice::Demand> demands;
  };
  void record(Recorded& entry, const std::function<void()>& operations);

  cudaStream_t stream_;
  StepInputsOnDevice& inputs_;
  int generation_ = 0;
  std::map<std::pair<uint64_t, uint64_t>, Recorded> graphs_;
};

}  // namespace mhub::kernels::cuda
