// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace mhub::kernels::cpu {
namespace {

// 16 lanes of float32.
struct Vec {
  static constexpr int kWidth = 16;
  static constexpr int kRowTile = 8;     // query rows that attention keeps in registers
  static constexpr int kMaxTokens = 16;  // widest tile of a packed product
  __m512 v;

  static __mmask16 first_lanes(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }

  static Vec set(float x) { return {_mm512_set1_ps(x)}; }
  static Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Vec load_n(const float* p, int64_t n) {
    return n >= kWidth ? load(p) : Vec{_mm512_maskz_loadu_ps(first_lanes(n), p)};
  }
  static Vec load_f16(const uint16_t* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static Vec load_f16_n(const uint16_t* p, int64_t n) {
    return n >= kWidth ? load_f16(p) : Vec{_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(n), p))};
  }
  static __m512 widen_bf16(__m256i x) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16)); }
  static Vec load_bf16(const uint16_t* p) {
    return {widen_bf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static Vec load_bf16_n(const uint16_t* p, int64_t n) {
    return n >= kWidth ? load_bf16(p) : Vec{widen_bf16(_mm256_maskz_loadu_epi16(first_lanes(n), p))};
  }
  static Vec load_u8(const uint8_t* p) {
    return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
  }
  static Vec load_i8(const uint8_t* p) {
    return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
  }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store_n(float* p, int64_t n) const {
    if (n >= kWidth) return store(p);
    _mm512_mask_storeu_ps(p, first_lanes(n), v);
  }
  void store_f16_n(uint16_t* p, int64_t n) const {
    _mm256_mask_storeu_epi16(p, first_lanes(n), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  void store_bf16_n(uint16_t* p, int64_t n) const {
    _mm256_mask_storeu_epi16(p, first_lanes(n), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v)));
  }
  // Rounded to nearest and saturated to int8.
  void store_i8(int8_t* p) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v)));
  }
  float first() const { return _mm512_cvtss_f32(v); }
  float reduce_add() const { return _mm512_reduce_add_ps(v); }
  float reduce_max() const { return _mm512_reduce_max_ps(v); }
  Vec abs() const { return {_mm512_abs_ps(v)}; }

  friend Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
  friend Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
  friend Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
  friend Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
};

inline Vec fma(Vec a, Vec b, Vec c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
inline Vec max(Vec a, Vec b) {
  return {_mm512_max_ps(a.v, b.v)};
}

// Within 2 units in the last place; arguments are clamped to the range of normal results, NaN stays NaN.
inline Vec exp(Vec a) {
  const __m512 x = _mm512_min_ps(_mm512_set1_ps(88.3f), _mm512_max_ps(_mm512_set1_ps(-87.3f), a.v));
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.9875691500e-4f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
  p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
  return {_mm512_scalef_ps(p, n)};
}

// 16 lanes of 4 bytes.
struct IntVec {
  static constexpr bool kSignedEight = false;
  __m512i v;

  static IntVec set(int32_t x) { return {_mm512_set1_epi32(x)}; }
  static IntVec load(const uint8_t* p) { return {_mm512_load_si512(p)}; }
  template <int kBits>
  IntVec shifted() const {  // left for positive kBits
    if constexpr (kBits > 0) return {_mm512_slli_epi32(v, kBits)};
    if constexpr (kBits < 0) return {_mm512_srli_epi32(v, -kBits)};
    return *this;
  }
  friend IntVec operator&(IntVec a, IntVec b) { return {_mm512_and_si512(a.v, b.v)}; }
  friend IntVec operator|(IntVec a, IntVec b) { return {_mm512_or_si512(a.v, b.v)}; }
  // Each byte, below 16, becomes table[byte].
  IntVec lookup(const uint8_t* table) const {
    const __m128i t = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return {_mm512_shuffle_epi8(_mm512_broadcast_i32x4(t), v)};
  }
  Vec to_float() const { return {_mm512_cvtepi32_ps(v)}; }

  // init + sum over kChunks of the products of 4 codes (unsigned, kBits wide) and 4 activations.
  template <int kChunks, int kBits>
  static IntVec dot(const IntVec* codes, const int8_t* activations, IntVec init) {
    __m512i sum = init.v;
    for (int i = 0; i < kChunks; ++i) {
      int32_t four;
      __builtin_memcpy(&four, activations + 4 * i, 4);
      sum = _mm512_dpbusd_epi32(sum, codes[i].v, _mm512_set1_epi32(four));
    }
    return {sum};
  }
};

}  // namespace
}  // namespace mhub::kernels::cpu
