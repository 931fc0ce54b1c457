// SPDX-License-Identifier: Apache-2.0
// Row operations over a vector type V that the including file defines.
#pragma once

#include "isa.h"

namespace mhub::kernels::cpu {
namespace {

inline int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

template <class V, class F>
void for_each_vector(int64_t n, F f) {
  int64_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) f(i, int64_t{V::kWidth});
  if (i < n) f(i, n - i);
}

template <class V>
void rms_norm(float* out, const float* x, const float* weight, int64_t n, float eps) {
  V sum = V::set(0.0f);
  for_each_vector<V>(n, [&](int64_t i, int64_t w) {
    const V a = V::load_n(x + i, w);
    sum = fma(a, a, sum);
  });
  const float mean = sum.reduce_add() / static_cast<float>(n);
  const V inverse = V::set(1.0f / __builtin_sqrtf(mean + eps));
  for_each_vector<V>(
      n, [&](int64_t i, int64_t w) { (V::load_n(x + i, w) * inverse * V::load_n(weight + i, w)).store_n(out + i, w); });
}

template <class V>
void add_row(float* sum, const float* x, int64_t n) {
  for_each_vector<V>(n,
                     [&](int64_t i, int64_t w) { (V::load_n(sum + i, w) + V::load_n(x + i, w)).store_n(sum + i, w); });
}

template <class V>
void add_scaled(float* sum, const float* x, float factor, int64_t n) {
  const V f = V::set(factor);
  for_each_vector<V>(
      n, [&](int64_t i, int64_t w) { fma(f, V::load_n(x + i, w), V::load_n(sum + i, w)).store_n(sum + i, w); });
}

template <class V>
void scale_row(float* x, float factor, int64_t n) {
  const V f = V::set(factor);
  for_each_vector<V>(n, [&](int64_t i, int64_t w) { (V::load_n(x + i, w) * f).store_n(x + i, w); });
}

// cap * tanh(x / cap)
template <class V>
V soft_capped(V x, V cap) {
  const V two = V::set(2.0f), one = V::set(1.0f);
  return cap * (one - two / (one + exp(two * x / cap)));
}

template <class V>
void soft_cap_row(float* x, float cap, int64_t n) {
  const V c = V::set(cap);
  for_each_vector<V>(n, [&](int64_t i, int64_t w) { soft_capped(V::load_n(x + i, w), c).store_n(x + i, w); });
}

template <class V>
void silu_mul(float* out, const float* gate, const float* up, int64_t n) {
  const V one = V::set(1.0f), zero = V::set(0.0f);
  for_each_vector<V>(n, [&](int64_t i, int64_t w) {
    const V g = V::load_n(gate + i, w);
    (g / (one + exp(zero - g)) * V::load_n(up + i, w)).store_n(out + i, w);
  });
}

template <class V>
void rope(float* head, const float* cos, const float* sin, int64_t half, bool interleaved) {
  if (interleaved) {
    for (int64_t i = 0; i < half; ++i) {
      const float a = head[2 * i], b = head[2 * i + 1];
      head[2 * i] = a * cos[i] - b * sin[i];
      head[2 * i + 1] = b * cos[i] + a * sin[i];
    }
    return;
  }
  for_each_vector<V>(half, [&](int64_t i, int64_t w) {
    const V a = V::load_n(head + i, w), b = V::load_n(head + half + i, w);
    const V c = V::load_n(cos + i, w), s = V::load_n(sin + i, w);
    (a * c - b * s).store_n(head + i, w);
    (b * c + a * s).store_n(head + half + i, w);
  });
}

template <class V>
void store_as(void* dst, DType dtype, int64_t dst_step, const float* src, int64_t n) {
  for_each_vector<V>(n, [&](int64_t i, int64_t w) {
    const V x = V::load_n(src + i, w);
    if (dtype == DType::kF32) {
      float* to = static_cast<float*>(dst) + i * dst_step;
      if (dst_step == 1) return x.store_n(to, w);
      for (int64_t j = 0; j < w; ++j) to[j * dst_step] = src[i + j];
      return;
    }
    uint16_t narrow[V::kWidth];
    uint16_t* to = static_cast<uint16_t*>(dst) + i * dst_step;
    uint16_t* first = dst_step == 1 ? to : narrow;
    if (dtype == DType::kF16) {
      x.store_f16_n(first, w);
    } else {
      x.store_bf16_n(first, w);
    }
    if (dst_step == 1) return;
    for (int64_t j = 0; j < w; ++j) to[j * dst_step] = narrow[j];
  });
}

// How elements of a 16- or 32-bit type become a V.
template <class V>
struct AsF32 {
  using Element = float;
  static V load(const Element* p) { return V::load(p); }
  static V load_n(const Element* p, int64_t n) { return V::load_n(p, n); }
};
template <class V>
struct AsF16 {
  using Element = uint16_t;
  static V load(const Element* p) { return V::load_f16(p); }
  static V load_n(const Element* p, int64_t n) { return V::load_f16_n(p, n); }
};
template <class V>
struct AsBF16 {
  using Element = uint16_t;
  static V load(const Element* p) { return V::load_bf16(p); }
  static V load_n(const Element* p, int64_t n) { return V::load_bf16_n(p, n); }
};

}  // namespace
}  // namespace mhub::kernels::cpu
