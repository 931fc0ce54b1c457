// SPDX-License-Identifier: Apache-2.0
#include "cuda/rows.h"

#include <algorithm>

#include "cuda/element.cuh"
#include "cuda/launch.cuh"

namespace mhub::kernels::cuda {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int kHeldVectors = 4;  // per thread, so that a row of up to 32k elements is read once

int threads_for(int64_t items) {
  return static_cast<int>(std::clamp<int64_t>((items + 31) / 32 * 32, 32, kMaxThreads));
}

__device__ float block_sum(float value) {
  __shared__ float of_warp[32];
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(0xffffffff, value, offset);
  const int warps = blockDim.x / 32;
  if (warps == 1) return value;
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  value = threadIdx.x % 32 < warps ? of_warp[threadIdx.x % 32] : 0.0f;
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(0xffffffff, value, offset);
  return value;
}

struct NormArgs {
  void* out;
  const void* x;
  void* residual;
  const float* weight;
  int64_t out_stride, x_stride, residual_stride;
  int cols;
  float eps;
};

// A block per row; each thread keeps its vectors in registers between the sum and the scaling.
template <class T, bool kAdd>
__global__ void __launch_bounds__(kMaxThreads) norm_vectors(NormArgs a) {
  constexpr int kSize = Vec<T>::kSize;
  const int64_t row = blockIdx.x;
  const auto* x = reinterpret_cast<const Vec<T>*>(static_cast<const T*>(a.x) + row * a.x_stride);
  auto* residual = reinterpret_cast<Vec<T>*>(static_cast<T*>(a.residual) + row * a.residual_stride);
  auto* out = reinterpret_cast<Vec<T>*>(static_cast<T*>(a.out) + row * a.out_stride);
  const int vectors = a.cols / kSize;
  float first_weights[kSize];  // of the vector that nearly every row's thread has one of; read before the wait
#pragma unroll
  for (int j = 0; j < kSize; ++j)
    first_weights[j] = static_cast<int>(threadIdx.x) < vectors ? a.weight[threadIdx.x * kSize + j] : 0.0f;
  admit_next_and_wait();
  Vec<T> held[kHeldVectors];
  float sum = 0;
#pragma unroll
  for (int h = 0; h < kHeldVectors; ++h) {
    const int i = threadIdx.x + h * blockDim.x;
    if (i >= vectors) break;
    held[h] = x[i];
    if constexpr (kAdd) {
      const Vec<T> before = residual[i];
#pragma unroll
      for (int j = 0; j < kSize; ++j) held[h].at[j] = from_float<T>(to_float(before.at[j]) + to_float(held[h].at[j]));
      residual[i] = held[h];
    }
#pragma unroll
    for (int j = 0; j < kSize; ++j) sum += to_float(held[h].at[j]) * to_float(held[h].at[j]);
  }
  const float inverse = rsqrtf(block_sum(sum) / static_cast<float>(a.cols) + a.eps);
#pragma unroll
  for (int h = 0; h < kHeldVectors; ++h) {
    const int i = threadIdx.x + h * blockDim.x;
    if (i >= vectors) break;
#pragma unroll
    for (int j = 0; j < kSize; ++j)
      held[h].at[j] =
          from_float<T>(to_float(held[h].at[j]) * inverse * (h == 0 ? first_weights[j] : a.weight[i * kSize + j]));
    out[i] = held[h];
  }
}

template <class T, bool kAdd>
__global__ void __launch_bounds__(kMaxThreads) norm_elements(NormArgs a) {
  admit_next_and_wait();
  const int64_t row = blockIdx.x;
  const T* x = static_cast<const T*>(a.x) + row * a.x_stride;
  T* residual = static_cast<T*>(a.residual) + row * a.residual_stride;
  T* out = static_cast<T*>(a.out) + row * a.out_stride;
  float sum = 0;
  for (int i = threadIdx.x; i < a.cols; i += blockDim.x) {
    float value = to_float(x[i]);
    if constexpr (kAdd) {
      residual[i] = from_float<T>(to_float(residual[i]) + value);
      value = to_float(residual[i]);
    }
    sum += value * value;
  }
  const float inverse = rsqrtf(block_sum(sum) / static_cast<float>(a.cols) + a.eps);
  for (int i = threadIdx.x; i < a.cols; i += blockDim.x) {
    const float value = kAdd ? to_float(residual[i]) : to_float(x[i]);
    out[i] = from_float<T>(value * inverse * a.weight[i]);
  }
}

template <class T, bool kAdd>
void launch_norm(const NormArgs& a, int64_t rows, cudaStream_t stream) {
  constexpr int kSize = Vec<T>::kSize;
  const auto grid = static_cast<unsigned>(rows);
  const bool vectors = vectors_fit<T>(a.x, a.x_stride, a.cols) && vectors_fit<T>(a.out, a.out_stride, a.cols) &&
                       (!kAdd || vectors_fit<T>(a.residual, a.residual_stride, a.cols)) &&
                       a.cols <= kSize * kHeldVectors * kMaxThreads;
  if (vectors)
    launch_overlapped(norm_vectors<T, kAdd>, grid, threads_for(a.cols / kSize), stream, a);
  else
    launch_overlapped(norm_elements<T, kAdd>, grid, threads_for(a.cols), stream, a);
}

// A warp per head of a row.
template <class T>
__global__ void head_norm(T* x, const float* weight, int64_t rows, int64_t stride, int heads, int dim, float eps) {
  admit_next_and_wait();
  const int64_t item = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / 32;
  const int lane = threadIdx.x % 32;
  if (item >= rows * heads) return;
  T* head = x + item / heads * stride + item % heads * dim;
  float sum = 0;
  for (int i = lane; i < dim; i += 32) sum += to_float(head[i]) * to_float(head[i]);
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xffffffff, sum, offset);
  const float inverse = rsqrtf(sum / static_cast<float>(dim) + eps);
  for (int i = lane; i < dim; i += 32) head[i] = from_float<T>(to_float(head[i]) * inverse * weight[i]);
}

__device__ float silu(float x) {
  return x / (1.0f + __expf(-x));
}

// Work items are vectors (or elements) of the output, row by row.
template <class T>
__global__ void silu_mul_vectors(T* out, const T* gate_up, int64_t out_stride, int64_t in_stride, int cols,
                                 int64_t items) {
  admit_next_and_wait();
  constexpr int kSize = Vec<T>::kSize;
  const int64_t item = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (item >= items) return;
  const int per_row = cols / kSize;
  const int64_t row = item / per_row;
  const int at = static_cast<int>(item % per_row);
  const T* in = gate_up + row * in_stride;
  Vec<T> gate = reinterpret_cast<const Vec<T>*>(in)[at];
  const Vec<T> up = reinterpret_cast<const Vec<T>*>(in + cols)[at];
#pragma unroll
  for (int j = 0; j < kSize; ++j) gate.at[j] = from_float<T>(silu(to_float(gate.at[j])) * to_float(up.at[j]));
  reinterpret_cast<Vec<T>*>(out + row * out_stride)[at] = gate;
}

template <class T>
__global__ void silu_mul_elements(T* out, const T* gate_up, int64_t out_stride, int64_t in_stride, int cols,
                                  int64_t items) {
  admit_next_and_wait();
  const int64_t item = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (item >= items) return;
  const int64_t row = item / cols, at = item % cols;
  const T* in = gate_up + row * in_stride;
  out[row * out_stride + at] = from_float<T>(silu(to_float(in[at])) * to_float(in[cols + at]));
}

template <class T>
__global__ void take_rows_kernel(T* out, const T* table, const int32_t* ids, int64_t out_stride, int64_t table_stride,
                                 int64_t table_rows, int cols, bool vectors) {
  wait_for_predecessor();
  const int32_t id = ids[blockIdx.x];
  const bool known = id >= 0 && id < table_rows;
  T* to = out + blockIdx.x * out_stride;
  const T* from = table + (known ? id : 0) * table_stride;
  if (vectors) {
    const Vec<T> zero{};
    for (int i = threadIdx.x; i < cols / Vec<T>::kSize; i += blockDim.x)
      reinterpret_cast<Vec<T>*>(to)[i] = known ? reinterpret_cast<const Vec<T>*>(from)[i] : zero;
    return;
  }
  for (int i = threadIdx.x; i < cols; i += blockDim.x) to[i] = known ? from[i] : from_float<T>(0.0f);
}

}  // namespace

void rms_norm(TensorView out, TensorView x, const TensorView* residual, const float* weight, float eps,
              cudaStream_t stream) {
  const char* name = residual ? "add_rms_norm" : "rms_norm";
  require(out.rows == x.rows && out.cols == x.cols && out.dtype == x.dtype, name, {x.rows, x.cols}, "shapes differ");
  if (residual)
    require(residual->rows == x.rows && residual->cols == x.cols && residual->dtype == x.dtype, name, {x.rows, x.cols},
            "the residual's shape differs");
  if (x.rows == 0 || x.cols == 0) return;
  const NormArgs args{out.data,   x.data,   residual ? residual->data : nullptr, weight,
                      out.stride, x.stride, residual ? residual->stride : 0,     static_cast<int>(x.cols),
                      eps};
  for_element(x.dtype, name, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (residual)
      launch_norm<T, true>(args, x.rows, stream);
    else
      launch_norm<T, false>(args, x.rows, stream);
  });
  check_launch(name, {x.rows, x.cols});
}

void head_rms_norm(TensorView x, int64_t head_dim, const float* weight, float eps, cudaStream_t stream) {
  require(head_dim > 0 && x.cols % head_dim == 0, "head_rms_norm", {x.rows, x.cols, head_dim}, "heads do not divide");
  if (x.rows == 0 || x.cols == 0) return;
  const auto heads = static_cast<int>(x.cols / head_dim);
  constexpr int kThreads = 128;
  const auto grid = static_cast<unsigned>((x.rows * heads * 32 + kThreads - 1) / kThreads);
  for_element(x.dtype, "head_rms_norm", [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch_overlapped(head_norm<T>, grid, kThreads, stream, static_cast<T*>(x.data), weight, x.rows, x.stride, heads,
                      static_cast<int>(head_dim), eps);
  });
  check_launch("head_rms_norm", {x.rows, x.cols, head_dim});
}

void silu_mul(TensorView out, TensorView gate_up, cudaStream_t stream) {
  require(gate_up.rows == out.rows && gate_up.cols == 2 * out.cols && out.dtype == gate_up.dtype, "silu_mul",
          {out.rows, out.cols}, "shapes differ");
  if (out.rows == 0 || out.cols == 0) return;
  for_element(out.dtype, "silu_mul", [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr int kThreads = 256;
    const bool vectors =
        vectors_fit<T>(gate_up.data, gate_up.stride, out.cols) && vectors_fit<T>(out.data, out.stride, out.cols);
    const int64_t items = out.rows * out.cols / (vectors ? Vec<T>::kSize : 1);
    const auto grid = static_cast<unsigned>((items + kThreads - 1) / kThreads);
    auto* kernel = vectors ? silu_mul_vectors<T> : silu_mul_elements<T>;
    launch_overlapped(kernel, grid, kThreads, stream, static_cast<T*>(out.data), static_cast<const T*>(gate_up.data),
                      out.stride, gate_up.stride, static_cast<int>(out.cols), items);
  });
  check_launch("silu_mul", {out.rows, out.cols});
}

void take_rows(TensorView out, TensorView table, const int32_t* ids, cudaStream_t stream) {
  require(out.cols == table.cols && out.dtype == table.dtype, "take_rows", {out.rows, out.cols, table.cols},
          "shapes or types differ");
  if (out.rows == 0 || out.cols == 0) return;
  for_element(out.dtype, "take_rows", [&](auto tag) {
    using T = typename decltype(tag)::type;
    const bool vectors =
        vectors_fit<T>(out.data, out.stride, out.cols) && vectors_fit<T>(table.data, table.stride, out.cols);
    const int threads = threads_for(vectors ? out.cols / Vec<T>::kSize : out.cols);
    launch_overlapped(take_rows_kernel<T>, static_cast<unsigned>(out.rows), threads, stream, static_cast<T*>(out.data),
                      static_cast<const T*>(table.data), ids, out.stride, table.stride, table.rows,
                      static_cast<int>(out.cols), vectors);
  });
  check_launch("take_rows", {out.rows, out.cols});
}

bool kernels_fit_device() {
  cudaFuncAttributes attributes{};
  const bool fit = cudaFuncGetAttributes(&attributes, silu_mul_elements<float>) == cudaSuccess;
  cudaGetLastError();
  return fit;
}

}  // namespace mhub::kernels::cuda
