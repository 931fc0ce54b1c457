// SPDX-License-Identifier: Apache-2.0
// The weights are the MMA's 16 rows and the batch its 8 columns. A lane loads 16 consecutive bytes of a weight row and
// of an input row: since a product sums over k in any order, these 8 elements serve as the fragments of two MMAs as
// they lie, and nothing is shuffled or staged. The warps of a block share its weight rows and split k among each other.
#include "cuda/products/skinny_linear.h"

#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/mma.cuh"

namespace mhub::kernels::cuda {
namespace {

constexpr int kMaxRows = 32;
constexpr int kWarps = 8;
constexpr int kTileK = 32;  // of two MMAs

struct Args {
  void* out;
  const void* x;
  const void* weight;
  const void* bias;
  int64_t out_stride, x_stride, weight_stride;
  int rows, n, k;
};

// kColumns: tiles of 8 rows of x. kHalves: tiles of 8 rows of the weight, two of which fill an MMA. kUnroll: tiles of k
// that a lane has in flight.
template <class T, class Out, int kColumns, int kHalves, int kUnroll>
__global__ void __launch_bounds__(kWarps * 32) skinny_kernel(Args a) {
  constexpr int kBlockRows = 8 * kHalves;
  constexpr int kTiles = (kHalves + 1) / 2;
  constexpr int kStepK = kTileK * kUnroll;
  constexpr bool kAhead = kColumns == 1;  // x is loaded a step ahead, as the weights are
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int group = lane / 4, quad = lane % 4;
  const int first_row = blockIdx.x * kBlockRows;
  const T* weight_rows[kHalves];
#pragma unroll
  for (int h = 0; h < kHalves; ++h) {
    const int row = min(first_row + h * 8 + group, a.n - 1);
    weight_rows[h] = static_cast<const T*>(a.weight) + row * a.weight_stride + 8 * quad;
  }
  uint4 weights[kUnroll][kHalves];
  const auto load_weights = [&](int k0) {
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const int k = k0 + u * kTileK;
#pragma unroll
      for (int h = 0; h < kHalves; ++h) weights[u][h] = k < a.k ? load_streamed(weight_rows[h] + k) : uint4{0, 0, 0, 0};
    }
  };
  int k0 = warp * kStepK;
  load_weights(k0);  // they depend on no kernel
  wait_for_predecessor();

  const T* x_rows[kColumns];
  bool x_known[kColumns];
#pragma unroll
  for (int c = 0; c < kColumns; ++c) {
    x_known[c] = c * 8 + group < a.rows;
    x_rows[c] = static_cast<const T*>(a.x) + (x_known[c] ? c * 8 + group : 0) * a.x_stride + 8 * quad;
  }
  const auto load_x = [&](int c, int k) {
    return x_known[c] && k < a.k ? *reinterpret_cast<const uint4*>(x_rows[c] + k) : uint4{0, 0, 0, 0};
  };
  uint4 x_ahead[kUnroll];
  const auto load_x_ahead = [&](int from) {
    if constexpr (kAhead) {
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) x_ahead[u] = load_x(0, from + u * kTileK);
    }
  };
  load_x_ahead(k0);
  float sums[kTiles][kColumns][4] = {};
  while (k0 < a.k) {
    uint4 now[kUnroll][kHalves], x_now[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      x_now[u] = x_ahead[u];
#pragma unroll
      for (int h = 0; h < kHalves; ++h) now[u][h] = weights[u][h];
    }
    const int here = k0;
    k0 += kWarps * kStepK;
    load_weights(k0);
    load_x_ahead(k0);
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        const uint4 x = kAhead ? x_now[u] : load_x(c, here + u * kTileK);
#pragma unroll
        for (int m = 0; m < kTiles; ++m) {
          const uint4 low = now[u][2 * m];
          const uint4 high = 2 * m + 1 < kHalves ? now[u][2 * m + 1 < kHalves ? 2 * m + 1 : 0] : uint4{0, 0, 0, 0};
          multiply<T>(sums[m][c], low.x, high.x, low.y, high.y, x.x, x.y);
          multiply<T>(sums[m][c], low.z, high.z, low.w, high.w, x.z, x.w);
        }
      }
    }
  }

  __shared__ float parts[kWarps][kColumns * 8][kBlockRows + 1];
#pragma unroll
  for (int m = 0; m < kTiles; ++m) {
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = m * 16 + i / 2 * 8 + group;
        if (row < kBlockRows) parts[warp][c * 8 + 2 * quad + i % 2][row] = sums[m][c][i];
      }
    }
  }
  __syncthreads();
  for (int item = threadIdx.x; item < a.rows * kBlockRows; item += kWarps * 32) {
    const int t = item / kBlockRows, r = item % kBlockRows, row = first_row + r;
    if (row >= a.n) continue;
    float sum = a.bias != nullptr ? to_float(static_cast<const Out*>(a.bias)[row]) : 0.0f;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) sum += parts[w][t][r];
    static_cast<Out*>(a.out)[t * a.out_stride + row] = from_float<Out>(sum);
  }
}

template <class T, class Out, int kColumns, int kHalves, int kUnroll>
void launch(const Args& a, cudaStream_t stream) {
  constexpr int kBlockRows = 8 * kHalves;
  const dim3 grid(static_cast<unsigned>((a.n + kBlockRows - 1) / kBlockRows)), block(kWarps * 32);
  launch_overlapped(skinny_kernel<T, Out, kColumns, kHalves, kUnroll>, grid, block, stream, a);
}

template <class T, class Out, int kColumns>
void launch_variant(const Args& a, int variant, cudaStream_t stream) {
  if (variant == 1 && kColumns <= 2)  // else the partial sums outgrow static shared memory
    launch<T, Out, kColumns, kColumns <= 2 ? 4 : 2, 4>(a, stream);
  else if (variant == 2)
    launch<T, Out, kColumns, 1, 8>(a, stream);
  else
    launch<T, Out, kColumns, 2, 4>(a, stream);
}

template <class T, class Out>
void launch_for_rows(const Args& a, int variant, cudaStream_t stream) {
  if (a.rows <= 8)
    launch_variant<T, Out, 1>(a, variant, stream);
  else if (a.rows <= 16)
    launch_variant<T, Out, 2>(a, variant, stream);
  else
    launch_variant<T, Out, 4>(a, variant, stream);
}

}  // namespace

bool skinny_linear_fits(TensorView out, TensorView x, TensorView weight) {
  const auto aligned = [](const TensorView& view) {
    return reinterpret_cast<uintptr_t>(view.data) % 16 == 0 && view.stride % 8 == 0;
  };
  return (x.dtype == DType::kBF16 || x.dtype == DType::kF16) && x.rows >= 1 && x.rows <= kMaxRows &&
         x.cols % kTileK == 0 && x.cols < (1 << 30) && weight.rows < (1 << 30) && aligned(x) && aligned(weight) &&
         (out.dtype == x.dtype || out.dtype == DType::kF32);
}

void skinny_linear(TensorView out, TensorView x, TensorView weight, const void* bias, int variant,
                   cudaStream_t stream) {
  const Args a{out.data,
               x.data,
               weight.data,
               bias,
               out.stride,
               x.stride,
               weight.stride,
               static_cast<int>(x.rows),
               static_cast<int>(weight.rows),
               static_cast<int>(x.cols)};
  const bool wide = out.dtype == DType::kF32;
  if (x.dtype == DType::kBF16)
    wide ? launch_for_rows<__nv_bfloat16, float>(a, variant, stream)
         : launch_for_rows<__nv_bfloat16, __nv_bfloat16>(a, variant, stream);
  else
    wide ? launch_for_rows<__half, float>(a, variant, stream) : launch_for_rows<__half, __half>(a, variant, stream);
  check_launch("linear", {x.rows, x.cols, weight.rows});
}

}  // namespace mhub::kernels::cuda
