// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "cuda/resources.h"
#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

// Draws tokens on the device (sampling/) and brings them to the host.
class DeviceSampler {
 public:
  explicit DeviceSampler(cudaStream_t stream) : stream_(stream) {}
  // Waits for everything on the stream.
  void run(std::span<int32_t> out, TensorView logits, std::span<const SampleSpec> specs);

 private:
  void reserve(size_t rows, int64_t vocab);
  void upload(std::span<const SampleSpec> specs);

  cudaStream_t stream_;
  size_t capacity_ = 0;     // rows
  int64_t vocab_ = 0;       // that the workspace is for
  size_t greedy_rows_ = 0;  // of the device's array that are known to ask for greedy
  DeviceMemory rows_, ids_, workspace_;
  PinnedMemory host_rows_, host_ids_;
};

}  // namespace mhub::kernels::cuda
