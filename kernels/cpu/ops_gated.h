// SPDX-License-Identifier: Apache-2.0
// Gated activations of one row, over a vector type V.
#pragma once

#include "ops_rows.h"

namespace mhub::kernels::cpu {
namespace {

// x * sigmoid(s)
template <class V>
V times_sigmoid(V x, V s) {
  return x / (V::set(1.0f) + exp(V::set(0.0f) - s));
}

template <class V>
void gelu_tanh_mul(float* out, const float* gate, const float* up, int64_t n) {
  const V twice = V::set(1.5957691216f), cubic = V::set(0.044715f), one = V::set(1.0f);  // 2 * sqrt(2 / pi)
  for_each_vector<V>(n, [&](int64_t i, int64_t w) {
    const V g = V::load_n(gate + i, w);
    (times_sigmoid(g, twice * g * fma(cubic, g * g, one)) * V::load_n(up + i, w)).store_n(out + i, w);
  });
}

template <class V>
void clamped_silu_mul(float* out, const float* gate, const float* up, int64_t n, float alpha, float limit) {
  const V zero = V::set(0.0f), one = V::set(1.0f), top = V::set(limit), a = V::set(alpha);
  const auto at_most = [&](V x) { return zero - max(zero - x, zero - top); };
  for_each_vector<V>(n, [&](int64_t i, int64_t w) {
    const V g = at_most(V::load_n(gate + i, w)), u = max(at_most(V::load_n(up + i, w)), zero - top);
    (times_sigmoid(g, a * g) * (u + one)).store_n(out + i, w);
  });
}

template <class V>
void gated(float* out, const float* gate, const float* up, int64_t n, const GatedActivation& activation) {
  switch (activation.kind) {
    case Activation::kSilu:
      return silu_mul<V>(out, gate, up, n);
    case Activation::kGeluTanh:
      return gelu_tanh_mul<V>(out, gate, up, n);
    case Activation::kClampedSilu:
      return clamped_silu_mul<V>(out, gate, up, n, activation.alpha, activation.limit);
  }
}

}  // namespace
}  // namespace mhub::kernels::cpu
