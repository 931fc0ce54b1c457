// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace mhub::kernels::cpu {
namespace {

// 8 lanes of float32.
struct Vec {
  static constexpr int kWidth = 8;
  static constexpr int kRowTile = 4;    // query rows that attention keeps in registers
  static constexpr int kMaxTokens = 4;  // widest tile of a packed product
  __m256 v;

  static __m256i first_lanes(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static __m128i load_16_n(const uint16_t* p, int64_t n) {
    alignas(16) uint16_t copy[kWidth] = {};
    for (int64_t i = 0; i < n; ++i) __builtin_memcpy(&copy[i], p + i, 2);
    return _mm_load_si128(reinterpret_cast<const __m128i*>(copy));
  }
  static void store_16_n(uint16_t* p, int64_t n, __m128i x) {
    alignas(16) uint16_t copy[kWidth];
    _mm_store_si128(reinterpret_cast<__m128i*>(copy), x);
    for (int64_t i = 0; i < n; ++i) p[i] = copy[i];
  }

  static Vec set(float x) { return {_mm256_set1_ps(x)}; }
  static Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static Vec load_n(const float* p, int64_t n) {
    return n >= kWidth ? load(p) : Vec{_mm256_maskload_ps(p, first_lanes(n))};
  }
  static Vec load_f16(const uint16_t* p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  static Vec load_f16_n(const uint16_t* p, int64_t n) {
    return n >= kWidth ? load_f16(p) : Vec{_mm256_cvtph_ps(load_16_n(p, n))};
  }
  static __m256 widen_bf16(__m128i x) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16)); }
  static Vec load_bf16(const uint16_t* p) { return {widen_bf16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))}; }
  static Vec load_bf16_n(const uint16_t* p, int64_t n) {
    return n >= kWidth ? load_bf16(p) : Vec{widen_bf16(load_16_n(p, n))};
  }
  static Vec load_u8(const uint8_t* p) {
    return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
  }
  static Vec load_i8(const uint8_t* p) {
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
  }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void store_n(float* p, int64_t n) const {
    if (n >= kWidth) return store(p);
    _mm256_maskstore_ps(p, first_lanes(n), v);
  }
  void store_f16_n(uint16_t* p, int64_t n) const {
    store_16_n(p, n, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  void store_bf16_n(uint16_t* p, int64_t n) const {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i top = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
    store_16_n(p, n, _mm_packus_epi32(_mm256_castsi256_si128(top), _mm256_extracti128_si256(top, 1)));
  }
  // Rounded to nearest and saturated to int8.
  void store_i8(int8_t* p) const {
    const __m256i whole = _mm256_cvtps_epi32(v);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(words, words));
  }
  float first() const { return _mm256_cvtss_f32(v); }
  float reduce_add() const {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }
  float reduce_max() const {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
  }
  Vec abs() const { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), v)}; }

  friend Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
  friend Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
  friend Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
  friend Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
};

inline Vec fma(Vec a, Vec b, Vec c) {
  return {_mm256_fmadd_ps(a.v, b.v, c.v)};
}
inline Vec max(Vec a, Vec b) {
  return {_mm256_max_ps(a.v, b.v)};
}

// Within 2 units in the last place; arguments are clamped to the range of normal results, NaN stays NaN.
inline Vec exp(Vec a) {
  const __m256 x = _mm256_min_ps(_mm256_set1_ps(88.3f), _mm256_max_ps(_mm256_set1_ps(-87.3f), a.v));
  const __m256 n =
      _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
  r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
  __m256 p = _mm256_set1_ps(1.9875691500e-4f);
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.3981999507e-3f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(8.3334519073e-3f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(4.1665795894e-2f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.6666665459e-1f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(5.0000001201e-1f));
  p = _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), _mm256_add_ps(r, _mm256_set1_ps(1.0f)));
  const __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
  return {_mm256_mul_ps(p, _mm256_castsi256_ps(power))};
}

// 8 lanes of 4 bytes.
struct IntVec {
  static constexpr bool kSignedEight = true;  // eight-bit codes are multiplied as signed: the result lacks 128 * sum
  __m256i v;

  static IntVec set(int32_t x) { return {_mm256_set1_epi32(x)}; }
  static IntVec load(const uint8_t* p) { return {_mm256_load_si256(reinterpret_cast<const __m256i*>(p))}; }
  template <int kBits>
  IntVec shifted() const {  // left for positive kBits
    if constexpr (kBits > 0) return {_mm256_slli_epi32(v, kBits)};
    if constexpr (kBits < 0) return {_mm256_srli_epi32(v, -kBits)};
    return *this;
  }
  friend IntVec operator&(IntVec a, IntVec b) { return {_mm256_and_si256(a.v, b.v)}; }
  friend IntVec operator|(IntVec a, IntVec b) { return {_mm256_or_si256(a.v, b.v)}; }
  // Each byte, below 16, becomes table[byte].
  IntVec lookup(const uint8_t* table) const {
    const __m128i t = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return {_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(t), v)};
  }
  Vec to_float() const { return {_mm256_cvtepi32_ps(v)}; }

  // Products that 16 bits hold when added: a pair of products takes at most 2 * (2^kBits - 1) * 127.
  template <int kBits>
  static constexpr int kPairsInWord = kBits >= 7 ? 1 : 32767 / (2 * ((1 << kBits) - 1) * 127);

  // init + sum over kChunks of the products of 4 codes (unsigned, kBits wide) and 4 activations.
  template <int kChunks, int kBits>
  static IntVec dot(const IntVec* codes, const int8_t* activations, IntVec init) {
    __m256i sum = init.v, words = _mm256_setzero_si256();
    int held = 0;
    for (int i = 0; i < kChunks; ++i) {
      int32_t four;
      __builtin_memcpy(&four, activations + 4 * i, 4);
      const __m256i a = _mm256_set1_epi32(four);
      __m256i pairs;
      if constexpr (kBits == 8) {
        const __m256i c = _mm256_xor_si256(codes[i].v, _mm256_set1_epi8(-128));
        pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(c), _mm256_sign_epi8(a, c));
      } else {
        pairs = _mm256_maddubs_epi16(codes[i].v, a);
      }
      words = held == 0 ? pairs : _mm256_add_epi16(words, pairs);
      if (++held == kPairsInWord<kBits> || i + 1 == kChunks) {
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(words, _mm256_set1_epi16(1)));
        held = 0;
      }
    }
    return {sum};
  }
};

}  // namespace
}  // namespace mhub::kernels::cpu
