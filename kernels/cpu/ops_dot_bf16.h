// SPDX-License-Identifier: Apache-2.0
// Products of BF16 weights with BF16 activations on AVX512_BF16: as ops_dot.h, 32 columns a step.
#pragma once

#include <immintrin.h>

#include "isa.h"

namespace mhub::kernels::cpu {
namespace {

template <int R, int C>
void dot_bf16_block(const DotTile& t, const uint16_t* x, int64_t row, int64_t token) {
  __m512 sum[R][C];
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) sum[r][c] = _mm512_setzero_ps();
  }
  const auto step = [&](int64_t k, auto load) {
    __m512bh xv[C];
    for (int c = 0; c < C; ++c) xv[c] = reinterpret_cast<__m512bh>(load(x + (token + c) * t.k + k));
    for (int r = 0; r < R; ++r) {
      const auto wv = reinterpret_cast<__m512bh>(load(t.w + (row + r) * t.w_row_bytes + 2 * k));
      for (int c = 0; c < C; ++c) sum[r][c] = _mm512_dpbf16_ps(sum[r][c], wv, xv[c]);
    }
  };
  int64_t k = 0;
  for (; k + 32 <= t.k; k += 32) step(k, [](const void* p) { return _mm512_loadu_si512(p); });
  if (k < t.k) {
    const __mmask32 lanes = (__mmask32{1} << (t.k - k)) - 1;
    step(k, [lanes](const void* p) { return _mm512_maskz_loadu_epi16(lanes, p); });
  }
  for (int r = 0; r < R; ++r) {
    const float bias = t.bias == nullptr ? 0.0f : t.bias[row + r];
    for (int c = 0; c < C; ++c) t.out[(token + c) * t.out_stride + row + r] = _mm512_reduce_add_ps(sum[r][c]) + bias;
  }
}

template <int C>
void dot_bf16_tokens(const DotTile& t, const uint16_t* x, int64_t token) {
  int64_t row = 0;
  for (; row + 4 <= t.rows; row += 4) dot_bf16_block<4, C>(t, x, row, token);
  for (; row < t.rows; ++row) dot_bf16_block<1, C>(t, x, row, token);
}

inline void dot_bf16(const DotTile& t, const uint16_t* x) {
  int64_t token = 0;
  for (; token + 4 <= t.tokens; token += 4) dot_bf16_tokens<4>(t, x, token);
  for (; token < t.tokens; ++token) dot_bf16_tokens<1>(t, x, token);
}

}  // namespace
}  // namespace mhub::kernels::cpu
