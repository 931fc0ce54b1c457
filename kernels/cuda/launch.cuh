// SPDX-License-Identifier: Apache-2.0
// Launches that may begin while the kernel before them on the stream still ends (programmatic dependent launch).
#pragma once

#include <cuda_runtime.h>

#include <array>

namespace mhub::kernels::cuda {

// At the head of every kernel that launch_overlapped() starts, before it touches anything that a kernel may have
// written: waits for the kernels before, then lets the next one begin. Weights may be read earlier.
__device__ inline void wait_for_predecessor() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
// The same, but the next kernel may begin before that wait has ended; it waits for this one, so for those before too.
// For kernels of few thread blocks before one that has much to read of its own.
__device__ inline void admit_next_and_wait() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

inline bool device_overlaps_launches() {
  static const bool overlaps = [] {
    int device = 0, major = 0;
    return cudaGetDevice(&device) == cudaSuccess &&
           cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess && major >= 9;
  }();
  return overlaps;
}

// The caller checks cudaGetLastError(), as after <<<>>>.
template <class... Params, class... Args>
void launch_overlapped(void (*kernel)(Params...), dim3 grid, dim3 block, cudaStream_t stream, Args&&... args) {
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.stream = stream;
  config.attrs = &overlap;
  config.numAttrs = device_overlaps_launches() ? 1 : 0;
  cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...);
}

}  // namespace mhub::kernels::cuda
