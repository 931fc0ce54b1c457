// SPDX-License-Identifier: Apache-2.0
#include "cuda/convert.h"

#include <algorithm>

#include "cuda/element.cuh"

namespace mhub::kernels::cuda {
namespace {

constexpr int kThreads = 256;

dim3 grid_of(const TensorView& t) {
  return {static_cast<unsigned>(std::min<int64_t>((t.cols + kThreads - 1) / kThreads, 64)),
          static_cast<unsigned>(std::min<int64_t>(t.rows, 65535))};
}

template <class To, class From>
__global__ void convert_kernel(To* out, const From* in, int64_t rows, int64_t cols, int64_t out_stride,
                               int64_t in_stride) {
  for (int64_t r = blockIdx.y; r < rows; r += gridDim.y) {
    for (int64_t c = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; c < cols;
         c += static_cast<int64_t>(gridDim.x) * kThreads)
      out[r * out_stride + c] = from_float<To>(to_float(in[r * in_stride + c]));
  }
}

// splitmix64.
constexpr uint64_t kStep = 0x9e3779b97f4a7c15u;
__device__ uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

template <class T>
__global__ void random_kernel(T* out, int64_t rows, int64_t cols, int64_t stride, uint64_t key, bool cut_to_bf16) {
  for (int64_t r = blockIdx.y; r < rows; r += gridDim.y) {
    for (int64_t c = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; c < cols;
         c += static_cast<int64_t>(gridDim.x) * kThreads) {
      const uint64_t bits = mix(key + static_cast<uint64_t>(r * cols + c) * kStep);
      float value = __fmul_rn(static_cast<float>(bits & 0xffff) / 32768.0f - 1.0f, 0.035f);
      if (cut_to_bf16) value = __uint_as_float(__float_as_uint(value) & 0xffff0000u);
      out[r * stride + c] = from_float<T>(value);
    }
  }
}

}  // namespace

void convert(TensorView out, TensorView in, cudaStream_t stream) {
  require(out.rows == in.rows && out.cols == in.cols, "convert", {out.rows, out.cols}, "shapes differ");
  if (out.rows == 0 || out.cols == 0) return;
  for_element(out.dtype, "convert", [&](auto to) {
    for_element(in.dtype, "convert", [&](auto from) {
      using To = typename decltype(to)::type;
      using From = typename decltype(from)::type;
      convert_kernel<To, From><<<grid_of(out), kThreads, 0, stream>>>(
          static_cast<To*>(out.data), static_cast<const From*>(in.data), out.rows, out.cols, out.stride, in.stride);
    });
  });
  check_launch("convert", {out.rows, out.cols});
}

void fill_random(TensorView out, DType source_dtype, uint64_t key, cudaStream_t stream) {
  if (out.rows == 0 || out.cols == 0) return;
  for_element(out.dtype, "fill_random", [&](auto tag) {
    using T = typename decltype(tag)::type;
    random_kernel<T><<<grid_of(out), kThreads, 0, stream>>>(static_cast<T*>(out.data), out.rows, out.cols, out.stride,
                                                            key, source_dtype == DType::kBF16);
  });
  check_launch("fill_random", {out.rows, out.cols});
}

}  // namespace mhub::kernels::cuda
