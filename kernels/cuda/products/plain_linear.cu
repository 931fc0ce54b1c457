// SPDX-License-Identifier: Apache-2.0
#include "cuda/products/plain_linear.h"

#include <algorithm>

#include "cuda/element.cuh"

namespace mhub::kernels::cuda {
namespace {

constexpr int kWarps = 8;

template <class Out, class In>
__global__ void __launch_bounds__(kWarps * 32)
    multiply(Out* out, const In* x, const In* weight, const Out* bias, int64_t rows, int64_t out_stride,
             int64_t x_stride, int64_t weight_stride, int64_t n, int64_t k) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  if (column >= n) return;
  for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
    float sum = 0.0f;
    for (int64_t i = lane; i < k; i += 32)
      sum += to_float(x[row * x_stride + i]) * to_float(weight[column * weight_stride + i]);
    for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xffffffff, sum, offset);
    if (lane == 0)
      out[row * out_stride + column] = from_float<Out>(sum + (bias != nullptr ? to_float(bias[column]) : 0.0f));
  }
}

}  // namespace

void plain_linear(TensorView out, TensorView x, TensorView weight, const void* bias, cudaStream_t stream) {
  if (out.rows == 0 || out.cols == 0) return;
  const dim3 grid(static_cast<unsigned>((out.cols + kWarps - 1) / kWarps),
                  static_cast<unsigned>(std::min<int64_t>(out.rows, 65535)));
  for_element(x.dtype, "linear", [&](auto in) {
    for_element(out.dtype, "linear", [&](auto to) {
      using In = typename decltype(in)::type;
      using Out = typename decltype(to)::type;
      multiply<Out, In><<<grid, kWarps * 32, 0, stream>>>(
          static_cast<Out*>(out.data), static_cast<const In*>(x.data), static_cast<const In*>(weight.data),
          static_cast<const Out*>(bias), out.rows, out.stride, x.stride, weight.stride, out.cols, x.cols);
    });
  });
  check_launch("linear", {x.rows, x.cols, out.cols});
}

}  // namespace mhub::kernels::cuda
