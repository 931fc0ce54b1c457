// SPDX-License-Identifier: Apache-2.0
#include "cuda/elementwise.h"

#include "cuda/element.cuh"
#include "cuda/rows.h"

namespace mhub::kernels::cuda {
namespace {

constexpr int kThreads = 256;

template <class F>
__global__ void __launch_bounds__(kThreads) for_each_kernel(int64_t rows, int64_t cols, F f) {
  const int64_t item = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (item < rows * cols) f(item / cols, item % cols);
}

// f(row, column) on the device for each of rows x cols.
template <class F>
void for_each(int64_t rows, int64_t cols, const char* operation, cudaStream_t stream, F f) {
  if (rows <= 0 || cols <= 0) return;
  for_each_kernel<<<static_cast<unsigned>((rows * cols + kThreads - 1) / kThreads), kThreads, 0, stream>>>(rows, cols,
                                                                                                           f);
  check_launch(operation, {rows, cols});
}

template <class T>
struct Rows {
  T* data;
  int64_t stride;
  explicit Rows(const TensorView& view) : data(static_cast<T*>(view.data)), stride(view.stride) {}
  __device__ T& at(int64_t row, int64_t col) const { return data[row * stride + col]; }
};

template <class T>
struct GeluTanh {
  Rows<T> out, in;
  int64_t cols;
  __device__ void operator()(int64_t r, int64_t c) const {
    const float x = to_float(in.at(r, c)), up = to_float(in.at(r, cols + c));
    const float inner = 0.7978845608028654f * (x + 0.044715f * x * x * x);
    out.at(r, c) = from_float<T>(0.5f * x * (1.0f + tanhf(inner)) * up);
  }
};
template <class T>
struct ClampedSilu {
  Rows<T> out, in;
  int64_t cols;
  float alpha, limit;
  __device__ void operator()(int64_t r, int64_t c) const {
    const float gate = fminf(to_float(in.at(r, c)), limit);
    const float up = fminf(fmaxf(to_float(in.at(r, cols + c)), -limit), limit);
    out.at(r, c) = from_float<T>(gate / (1.0f + __expf(-alpha * gate)) * (up + 1.0f));
  }
};
template <class T>
struct Scale {
  Rows<T> x;
  float factor;
  __device__ void operator()(int64_t r, int64_t c) const { x.at(r, c) = from_float<T>(to_float(x.at(r, c)) * factor); }
};
template <class T>
struct SoftCap {
  Rows<T> x;
  float cap;
  __device__ void operator()(int64_t r, int64_t c) const {
    x.at(r, c) = from_float<T>(cap * tanhf(to_float(x.at(r, c)) / cap));
  }
};
template <class T>
struct Add {
  Rows<T> sum, x;
  __device__ void operator()(int64_t r, int64_t c) const {
    sum.at(r, c) = from_float<T>(to_float(sum.at(r, c)) + to_float(x.at(r, c)));
  }
};
template <class T>
struct AddGated {
  Rows<T> sum, x, gate;
  __device__ void operator()(int64_t r, int64_t c) const {
    const float share = 1.0f / (1.0f + __expf(-to_float(gate.at(r, 0))));
    sum.at(r, c) = from_float<T>(to_float(sum.at(r, c)) + share * to_float(x.at(r, c)));
  }
};
template <class T>
struct CopyHeads {
  Rows<T> out, x;
  int64_t out_step, x_step, width;
  __device__ void operator()(int64_t r, int64_t c) const {
    const int64_t head = c / width, at = c % width;
    out.at(r, head * out_step + at) = x.at(r, head * x_step + at);
  }
};

}  // namespace

void gated_activation(TensorView out, TensorView gate_up, const GatedActivation& activation, cudaStream_t stream) {
  constexpr const char* kName = "gated_activation";
  require(gate_up.rows == out.rows && gate_up.cols == 2 * out.cols && out.dtype == gate_up.dtype, kName,
          {out.rows, out.cols}, "shapes differ");
  if (activation.kind == Activation::kSilu) return silu_mul(out, gate_up, stream);
  for_element(out.dtype, kName, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Rows<T> to(out), from(gate_up);
    if (activation.kind == Activation::kGeluTanh)
      for_each(out.rows, out.cols, kName, stream, GeluTanh<T>{to, from, out.cols});
    else if (activation.kind == Activation::kClampedSilu)
      for_each(out.rows, out.cols, kName, stream,
               ClampedSilu<T>{to, from, out.cols, activation.alpha, activation.limit});
    else
      fail(kName, {out.rows, out.cols}, "no such activation here");
  });
}

void scale(TensorView x, float factor, cudaStream_t stream) {
  for_element(x.dtype, "scale", [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_each(x.rows, x.cols, "scale", stream, Scale<T>{Rows<T>(x), factor});
  });
}

void soft_cap(TensorView x, float cap, cudaStream_t stream) {
  for_element(x.dtype, "soft_cap", [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_each(x.rows, x.cols, "soft_cap", stream, SoftCap<T>{Rows<T>(x), cap});
  });
}

void add(TensorView sum, TensorView x, cudaStream_t stream) {
  require(sum.rows == x.rows && sum.cols == x.cols && sum.dtype == x.dtype, "add", {x.rows, x.cols}, "shapes differ");
  for_element(x.dtype, "add", [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_each(x.rows, x.cols, "add", stream, Add<T>{Rows<T>(sum), Rows<T>(x)});
  });
}

void add_gated(TensorView sum, TensorView x, TensorView gate, cudaStream_t stream) {
  require(sum.rows == x.rows && sum.cols == x.cols && sum.dtype == x.dtype && gate.rows == x.rows && gate.cols == 1 &&
              gate.dtype == x.dtype,
          "add_gated", {x.rows, x.cols}, "shapes differ");
  for_element(x.dtype, "add_gated", [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_each(x.rows, x.cols, "add_gated", stream, AddGated<T>{Rows<T>(sum), Rows<T>(x), Rows<T>(gate)});
  });
}

void copy_heads(TensorView out, int64_t out_step, TensorView x, int64_t x_step, int64_t heads, int64_t width,
                cudaStream_t stream) {
  require(out.rows == x.rows && out.dtype == x.dtype && heads >= 0 && width >= 0 &&
              (heads == 0 || ((heads - 1) * out_step + width <= out.cols && (heads - 1) * x_step + width <= x.cols)),
          "copy_heads", {out.rows, heads, width}, "the heads do not fit their rows");
  for_element(x.dtype, "copy_heads", [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_each(x.rows, heads * width, "copy_heads", stream,
             CopyHeads<T>{Rows<T>(out), Rows<T>(x), out_step, x_step, width});
  });
}

}  // namespace mhub::kernels::cuda
