// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime.h>

#include <cstdio>
#include <exception>

#include "cuda/abi.h"
#include "cuda/cuda_backend.h"
#include "cuda/rows.h"

namespace mhub::kernels::cuda {
namespace {

constexpr int kLeastMajor = 8;  // BF16 products, asynchronous copies

Backend* refuse(char (&reason)[kReasonBytes], const char* format, const char* name, int major, int minor) {
  std::snprintf(reason, sizeof(reason), format, name, major, minor);
  return nullptr;
}

// The first device (CUDA_VISIBLE_DEVICES says which that is).
Backend* open(const BackendOptions& options, char (&reason)[kReasonBytes]) {
  int count = 0, driver = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  cudaDeviceProp device{};
  if (error == cudaSuccess && count > 0) error = cudaGetDeviceProperties(&device, 0);
  if (error == cudaSuccess && count > 0) error = cudaDriverGetVersion(&driver);
  if (error != cudaSuccess || count == 0) {
    std::snprintf(reason, sizeof(reason), "no CUDA device: %s",
                  error != cudaSuccess ? cudaGetErrorString(error) : "the driver lists none");
    return nullptr;
  }
  if (device.major < kLeastMajor)
    return refuse(reason, "device %s has compute capability %d.%d, 8.0 or later is needed", device.name, device.major,
                  device.minor);
  if (!kernels_fit_device())
    return refuse(reason, "this build has no kernels for device %s (compute capability %d.%d)", device.name,
                  device.major, device.minor);
  return new CudaBackend(options, device, driver);
}

}  // namespace
}  // namespace mhub::kernels::cuda

extern "C" __attribute__((visibility("default"))) mhub::kernels::Backend* mhub_cuda_open_backend_v4(
    const mhub::kernels::BackendOptions* options, char (&reason)[mhub::kernels::cuda::kReasonBytes]) {
  try {
    return mhub::kernels::cuda::open(*options, reason);
  } catch (const std::exception& e) {
    std::snprintf(reason, sizeof(reason), "the CUDA device cannot be used: %s", e.what());
    return nullptr;
  }
}
