// SPDX-License-Identifier: Apache-2.0
// Products with row-major float weights: register blocks of R weight rows by C tokens, vectors along k.
#pragma once

#include "ops_rows.h"

namespace mhub::kernels::cpu {
namespace {

template <class V, class Load, int R, int C>
void dot_block(const DotTile& t, int64_t row, int64_t token) {
  using Element = typename Load::Element;
  V sum[R][C];
  const Element* w[R];
  const float* x[C];
  for (int r = 0; r < R; ++r) {
    w[r] = reinterpret_cast<const Element*>(t.w + (row + r) * t.w_row_bytes);
    for (int c = 0; c < C; ++c) sum[r][c] = V::set(0.0f);
  }
  for (int c = 0; c < C; ++c) x[c] = t.x + (token + c) * t.x_stride;
  const auto step = [&](auto load_w, auto load_x) {
    V xv[C];
    for (int c = 0; c < C; ++c) xv[c] = load_x(x[c]);
    for (int r = 0; r < R; ++r) {
      const V wv = load_w(w[r]);
      for (int c = 0; c < C; ++c) sum[r][c] = fma(wv, xv[c], sum[r][c]);
    }
  };
  int64_t k = 0;
  for (; k + V::kWidth <= t.k; k += V::kWidth) {
    step([&](const Element* p) { return Load::load(p + k); }, [&](const float* p) { return V::load(p + k); });
  }
  if (k < t.k) {
    const int64_t n = t.k - k;
    step([&](const Element* p) { return Load::load_n(p + k, n); }, [&](const float* p) { return V::load_n(p + k, n); });
  }
  for (int r = 0; r < R; ++r) {
    const float bias = t.bias == nullptr ? 0.0f : t.bias[row + r];
    for (int c = 0; c < C; ++c) t.out[(token + c) * t.out_stride + row + r] = sum[r][c].reduce_add() + bias;
  }
}

template <class V, class Load>
void dot_tokens(const DotTile& t, int64_t token, int64_t count) {
  int64_t row = 0;
  if (count == 4) {
    for (; row + 4 <= t.rows; row += 4) dot_block<V, Load, 4, 4>(t, row, token);
    for (; row < t.rows; ++row) dot_block<V, Load, 1, 4>(t, row, token);
    return;
  }
  for (int64_t c = token; c < token + count; ++c) {
    for (row = 0; row + 4 <= t.rows; row += 4) dot_block<V, Load, 4, 1>(t, row, c);
    for (; row < t.rows; ++row) dot_block<V, Load, 1, 1>(t, row, c);
  }
}

template <class V>
void dot(const DotTile& t) {
  for (int64_t token = 0; token < t.tokens; token += 4) {
    const int64_t count = least(4, t.tokens - token);
    switch (t.dtype) {
      case DType::kF16:
        dot_tokens<V, AsF16<V>>(t, token, count);
        break;
      case DType::kBF16:
        dot_tokens<V, AsBF16<V>>(t, token, count);
        break;
      default:
        dot_tokens<V, AsF32<V>>(t, token, count);
        break;
    }
  }
}

}  // namespace
}  // namespace mhub::kernels::cpu
