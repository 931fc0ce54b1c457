// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime.h>

#include <cstdio>

#include "cuda/abi.h"

namespace mhub::kernels::cuda {
namespace {

// One line about the first device, or why there is none.
void describe(char (&reason)[kReasonBytes]) {
  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  cudaDeviceProp device{};
  if (error == cudaSuccess && count > 0) error = cudaGetDeviceProperties(&device, 0);
  if (error != cudaSuccess || count == 0) {
    std::snprintf(reason, sizeof(reason), "no CUDA device: %s",
                  error != cudaSuccess ? cudaGetErrorString(error) : "the driver lists none");
    return;
  }
  std::snprintf(reason, sizeof(reason),
                "device %s (compute %d.%d, %zu MiB) found; this build has no CUDA kernels yet", device.name,
                device.major, device.minor, static_cast<size_t>(device.totalGlobalMem >> 20));
}

}  // namespace
}  // namespace mhub::kernels::cuda

extern "C" __attribute__((visibility("default"))) mhub::kernels::Backend* mhub_cuda_open_backend_v1(
    const mhub::kernels::BackendOptions*, char (&reason)[mhub::kernels::cuda::kReasonBytes]) {
  mhub::kernels::cuda::describe(reason);
  return nullptr;
}
