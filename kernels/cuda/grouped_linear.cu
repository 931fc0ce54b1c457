// SPDX-License-Identifier: Apache-2.0
// Products grouped by expert. In 16 bits a warp keeps eight rows of an expert against sixteen rows of its weight
// (fragments as in skinny_linear.cu), so with few rows per expert each weight is read once; many rows go to
// grouped_tiles(), other shapes to the plain kernel.
#include <algorithm>

#include "cuda/element.cuh"
#include "cuda/experts.h"
#include "cuda/grouped_tiles.h"
#include "cuda/mma.cuh"

namespace mhub::kernels::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int64_t kManyRows = 4;  // an expert, on average; from here on tiles are faster than eight rows at a time

using Args = GroupedProduct;

// A warp per result.
template <class T>
__global__ void __launch_bounds__(kWarps * 32) plain_kernel(Args a) {
  const int column = blockIdx.x * kWarps + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (column >= a.n) return;
  for (int64_t row = blockIdx.y; row < a.rows; row += gridDim.y) {
    int low = 0, high = a.experts;  // the expert of this row
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      (a.offsets[middle] <= row ? low : high) = middle;
    }
    const int64_t source = a.row_tokens != nullptr ? a.row_tokens[row] : row;
    const T* x = static_cast<const T*>(a.x) + source * a.x_stride;
    const int64_t weight_row = static_cast<int64_t>(low) * a.n + column;
    const T* w = static_cast<const T*>(a.weight) + weight_row * a.weight_stride;
    float sum = 0.0f;
    for (int i = lane; i < a.k; i += 32) sum += to_float(x[i]) * to_float(w[i]);
    for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xffffffff, sum, offset);
    if (lane == 0)
      static_cast<T*>(a.out)[row * a.out_stride + column] =
          from_float<T>(sum + (a.bias != nullptr ? a.bias[weight_row] : 0.0f));
  }
}

// blockIdx.x: 16 rows of the weight, blockIdx.y: the expert. The warps split k.
template <class T>
__global__ void __launch_bounds__(kWarps * 32) mma_kernel(Args a) {
  constexpr int kTileK = 32;
  const int expert = blockIdx.y, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int group = lane / 4, quad = lane % 4;
  const int begin = a.offsets[expert], end = a.offsets[expert + 1];
  if (begin == end) return;
  const int first_column = blockIdx.x * 16;
  const T* weight_rows[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int column = min(first_column + h * 8 + group, a.n - 1);
    weight_rows[h] =
        static_cast<const T*>(a.weight) + (static_cast<int64_t>(expert) * a.n + column) * a.weight_stride + 8 * quad;
  }
  __shared__ float parts[kWarps][8][17];
  for (int row = begin; row < end; row += 8) {
    const bool known = row + group < end;
    int64_t source = known ? row + group : row;
    if (a.row_tokens != nullptr) source = a.row_tokens[source];
    const T* x_row = static_cast<const T*>(a.x) + source * a.x_stride + 8 * quad;
    float sums[4] = {};
#pragma unroll 4
    for (int k = warp * kTileK; k < a.k; k += kWarps * kTileK) {
      const uint4 low = load_streamed(weight_rows[0] + k), high = load_streamed(weight_rows[1] + k);
      const uint4 x = known ? *reinterpret_cast<const uint4*>(x_row + k) : uint4{0, 0, 0, 0};
      multiply<T>(sums, low.x, high.x, low.y, high.y, x.x, x.y);
      multiply<T>(sums, low.z, high.z, low.w, high.w, x.z, x.w);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) parts[warp][2 * quad + i % 2][i / 2 * 8 + group] = sums[i];
    __syncthreads();
    if (threadIdx.x < 128) {
      const int t = threadIdx.x / 16, column = first_column + threadIdx.x % 16;
      if (row + t < end && column < a.n) {
        float sum = a.bias != nullptr ? a.bias[static_cast<int64_t>(expert) * a.n + column] : 0.0f;
        for (int w = 0; w < kWarps; ++w) sum += parts[w][t][threadIdx.x % 16];
        static_cast<T*>(a.out)[(row + t) * a.out_stride + column] = from_float<T>(sum);
      }
    }
    __syncthreads();
  }
}

template <class T>
__global__ void combine_kernel(T* out, const T* x, const int32_t* choice_rows, const float* weights, int64_t out_stride,
                               int64_t x_stride, int top_k, int cols) {
  const int64_t token = blockIdx.x;
  for (int c = threadIdx.x; c < cols; c += blockDim.x) {
    float sum = 0.0f;
    for (int64_t j = token * top_k; j < (token + 1) * top_k; ++j)
      sum += weights[j] * to_float(x[choice_rows[j] * x_stride + c]);
    out[token * out_stride + c] = from_float<T>(sum);
  }
}

bool aligned(const TensorView& view) {
  return reinterpret_cast<uintptr_t>(view.data) % 16 == 0 && view.stride % 8 == 0;
}

}  // namespace

void grouped_linear(TensorView out, TensorView x, const ExpertRows& rows, bool by_token, TensorView stacked,
                    const float* bias, cudaStream_t stream) {
  constexpr const char* kName = "grouped_linear";
  require(rows.experts > 0 && stacked.rows == rows.experts * out.cols && stacked.cols == x.cols &&
              out.rows == rows.rows() && x.rows == (by_token ? rows.tokens : rows.rows()),
          kName, {out.rows, out.cols, x.rows, x.cols, rows.experts}, "shapes differ");
  require(out.dtype == x.dtype && x.dtype == stacked.dtype, kName, {out.rows, out.cols}, "types differ");
  if (out.rows == 0 || out.cols == 0) return;
  const Args a{out.data,
               x.data,
               stacked.data,
               bias,
               rows.offsets,
               by_token ? rows.row_tokens : nullptr,
               out.stride,
               x.stride,
               stacked.stride,
               out.rows,
               static_cast<int>(rows.experts),
               static_cast<int>(out.cols),
               static_cast<int>(x.cols)};
  const dim3 block(kWarps * 32);
  const dim3 tiles(static_cast<unsigned>((out.cols + 15) / 16), static_cast<unsigned>(rows.experts));
  const bool fragments = x.dtype != DType::kF32 && x.cols % 32 == 0 && aligned(x) && aligned(stacked);
  if (fragments && out.rows > kManyRows * rows.experts) {
    grouped_tiles(a, x.dtype, stream);
  } else if (fragments && x.dtype == DType::kBF16) {
    mma_kernel<__nv_bfloat16><<<tiles, block, 0, stream>>>(a);
  } else if (fragments && x.dtype == DType::kF16) {
    mma_kernel<__half><<<tiles, block, 0, stream>>>(a);
  } else {
    const dim3 grid(static_cast<unsigned>((out.cols + kWarps - 1) / kWarps),
                    static_cast<unsigned>(std::min<int64_t>(out.rows, 65535)));
    for_element(x.dtype, kName, [&](auto tag) {
      using T = typename decltype(tag)::type;
      plain_kernel<T><<<grid, block, 0, stream>>>(a);
    });
  }
  check_launch(kName, {out.rows, out.cols, x.cols, rows.experts});
}

void combine_experts(TensorView out, TensorView x, const ExpertRows& rows, cudaStream_t stream) {
  require(out.rows == rows.tokens && x.rows == rows.rows() && out.cols == x.cols && out.dtype == x.dtype,
          "combine_experts", {out.rows, out.cols, x.rows}, "shapes differ");
  if (out.rows == 0 || out.cols == 0) return;
  for_element(x.dtype, "combine_experts", [&](auto tag) {
    using T = typename decltype(tag)::type;
    combine_kernel<T><<<static_cast<unsigned>(out.rows), 256, 0, stream>>>(
        static_cast<T*>(out.data), static_cast<const T*>(x.data), rows.choice_rows, rows.choice_weights, out.stride,
        x.stride, static_cast<int>(rows.top_k), static_cast<int>(out.cols));
  });
  check_launch("combine_experts", {out.rows, out.cols});
}

}  // namespace mhub::kernels::cuda
