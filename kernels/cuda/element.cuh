// SPDX-License-Identifier: Apache-2.0
// Activation element types on the device, and the choice of one at run time.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "cuda/error.h"
#include "mhub/kernels/dtype.h"

namespace mhub::kernels::cuda {

__device__ inline float to_float(float x) {
  return x;
}
__device__ inline float to_float(__half x) {
  return __half2float(x);
}
__device__ inline float to_float(__nv_bfloat16 x) {
  return __bfloat162float(x);
}

template <class T>
__device__ T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
template <>
__device__ inline __half from_float<__half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

// 16 bytes of elements.
template <class T>
struct alignas(16) Vec {
  static constexpr int kSize = 16 / sizeof(T);
  T at[kSize];
};

template <class T>
struct Tag {
  using type = T;
};

// Calls f(Tag<T>) with the element type of `dtype`.
template <class F>
void for_element(DType dtype, const char* operation, F f) {
  switch (dtype) {
    case DType::kF32:
      return f(Tag<float>{});
    case DType::kF16:
      return f(Tag<__half>{});
    case DType::kBF16:
      return f(Tag<__nv_bfloat16>{});
    default:
      fail(operation, {}, "activations are F32, F16 or BF16");
  }
}

// Whether rows of `elements` at this address and stride can be read 16 bytes at a time.
template <class T>
bool vectors_fit(const void* data, int64_t stride, int64_t elements) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0 && stride % Vec<T>::kSize == 0 && elements % Vec<T>::kSize == 0;
}

}  // namespace mhub::kernels::cuda
