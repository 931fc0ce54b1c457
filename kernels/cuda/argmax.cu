// SPDX-License-Identifier: Apache-2.0
#include "cuda/argmax.h"

#include <algorithm>

#include "cuda/element.cuh"

namespace mhub::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kElementsPerBlock = 8192;
constexpr unsigned long long kNotFinite = ~0ull;

// Orders as (value, then lower index first): larger is better. 0 is below every number.
__device__ unsigned long long rank_of(float value, uint32_t index) {
  if (isnan(value) || value == INFINITY) return kNotFinite;
  if (value == -INFINITY) return 0;
  const uint32_t bits = __float_as_uint(value == 0.0f ? 0.0f : value);  // -0 equals 0
  const uint32_t ordered = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return static_cast<unsigned long long>(ordered) << 32 | (0xffffffffu - index);
}

__global__ void __launch_bounds__(kThreads)
    find_best(unsigned long long* best, const float* logits, int64_t stride, int cols) {
  const float* row = logits + blockIdx.y * stride;
  const int first = blockIdx.x * kElementsPerBlock, last = min(first + kElementsPerBlock, cols);
  unsigned long long own = 0;
  for (int i = first + static_cast<int>(threadIdx.x); i < last; i += kThreads)
    own = max(own, rank_of(row[i], static_cast<uint32_t>(i)));
  for (int offset = 16; offset > 0; offset /= 2) own = max(own, __shfl_xor_sync(0xffffffff, own, offset));
  __shared__ unsigned long long of_warp[kThreads / 32];
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = own;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (const unsigned long long other : of_warp) own = max(own, other);
  atomicMax(best + blockIdx.y, own);
}

__global__ void take_best(int32_t* ids, unsigned long long* best, int rows) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  const unsigned long long found = best[row];
  best[row] = 0;
  ids[row] = found == 0 || found == kNotFinite
                 ? -1
                 : static_cast<int32_t>(0xffffffffu - static_cast<uint32_t>(found & 0xffffffffu));
}

}  // namespace

void argmax(int32_t* ids, unsigned long long* best, TensorView logits, cudaStream_t stream) {
  if (logits.rows == 0) return;
  require(logits.dtype == DType::kF32 && logits.cols > 0, "argmax", {logits.rows, logits.cols}, "logits are float32");
  const dim3 grid(static_cast<unsigned>((logits.cols + kElementsPerBlock - 1) / kElementsPerBlock),
                  static_cast<unsigned>(logits.rows));
  find_best<<<grid, kThreads, 0, stream>>>(best, logits.f32(), logits.stride, static_cast<int>(logits.cols));
  take_best<<<static_cast<unsigned>((logits.rows + 255) / 256), 256, 0, stream>>>(ids, best,
                                                                                  static_cast<int>(logits.rows));
  check_launch("argmax", {logits.rows, logits.cols});
}

}  // namespace mhub::kernels::cuda
