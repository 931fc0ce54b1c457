// SPDX-License-Identifier: Apache-2.0
// The vector type of the portable path: plain loops that the compiler may turn into whatever the target has.
#pragma once

#include <cmath>

#include "mhub/kernels/half.h"

namespace mhub::kernels::cpu {
namespace {

struct Vec {
  static constexpr int kWidth = 8;
  static constexpr int kRowTile = 2;    // query rows that attention keeps in registers
  static constexpr int kMaxTokens = 4;  // widest tile of a packed product
  float v[kWidth];

  template <class F>
  static Vec make(F f) {
    Vec r;
    for (int i = 0; i < kWidth; ++i) r.v[i] = f(i);
    return r;
  }
  static Vec set(float x) {
    return make([=](int) { return x; });
  }
  static Vec load(const float* p) {
    return make([=](int i) { return load_unaligned<float>(p + i); });
  }
  static Vec load_n(const float* p, int64_t n) {
    return make([=](int i) { return i < n ? load_unaligned<float>(p + i) : 0.0f; });
  }
  static Vec load_f16(const uint16_t* p) {
    return make([=](int i) { return float_from_f16(load_unaligned<uint16_t>(p + i)); });
  }
  static Vec load_f16_n(const uint16_t* p, int64_t n) {
    return make([=](int i) { return i < n ? float_from_f16(load_unaligned<uint16_t>(p + i)) : 0.0f; });
  }
  static Vec load_bf16(const uint16_t* p) {
    return make([=](int i) { return float_from_bf16(load_unaligned<uint16_t>(p + i)); });
  }
  static Vec load_bf16_n(const uint16_t* p, int64_t n) {
    return make([=](int i) { return i < n ? float_from_bf16(load_unaligned<uint16_t>(p + i)) : 0.0f; });
  }
  static Vec load_u8(const uint8_t* p) {
    return make([=](int i) { return static_cast<float>(p[i]); });
  }
  static Vec load_i8(const uint8_t* p) {
    return make([=](int i) { return static_cast<float>(static_cast<int8_t>(p[i])); });
  }
  void store(float* p) const { store_n(p, kWidth); }
  void store_n(float* p, int64_t n) const {
    for (int i = 0; i < kWidth; ++i) {
      if (i < n) p[i] = v[i];
    }
  }
  void store_f16_n(uint16_t* p, int64_t n) const {
    for (int i = 0; i < n; ++i) p[i] = f16_from_float(v[i]);
  }
  void store_bf16_n(uint16_t* p, int64_t n) const {
    for (int i = 0; i < n; ++i) p[i] = bf16_from_float(v[i]);
  }
  // Rounded to nearest; |v| <= 127.
  void store_i8(int8_t* p) const {
    for (int i = 0; i < kWidth; ++i) p[i] = static_cast<int8_t>(std::nearbyint(v[i]));
  }
  Vec abs() const {
    return make([this](int i) { return std::fabs(v[i]); });
  }
  float first() const { return v[0]; }
  float reduce_add() const {
    float s = 0;
    for (float x : v) s += x;
    return s;
  }
  float reduce_max() const {
    float s = v[0];
    for (float x : v) s = s < x ? x : s;
    return s;
  }
  friend Vec operator+(Vec a, Vec b) {
    return make([=](int i) { return a.v[i] + b.v[i]; });
  }
  friend Vec operator-(Vec a, Vec b) {
    return make([=](int i) { return a.v[i] - b.v[i]; });
  }
  friend Vec operator*(Vec a, Vec b) {
    return make([=](int i) { return a.v[i] * b.v[i]; });
  }
  friend Vec operator/(Vec a, Vec b) {
    return make([=](int i) { return a.v[i] / b.v[i]; });
  }
};

inline Vec fma(Vec a, Vec b, Vec c) {
  return a * b + c;
}
inline Vec max(Vec a, Vec b) {
  return Vec::make([=](int i) { return a.v[i] < b.v[i] ? b.v[i] : a.v[i]; });
}
inline Vec exp(Vec a) {
  return Vec::make([=](int i) { return std::exp(a.v[i]); });
}

// 8 lanes of 4 bytes.
struct IntVec {
  static constexpr bool kSignedEight = false;
  uint32_t v[Vec::kWidth];

  template <class F>
  static IntVec make(F f) {
    IntVec r;
    for (int i = 0; i < Vec::kWidth; ++i) r.v[i] = f(i);
    return r;
  }
  static IntVec set(int32_t x) {
    return make([=](int) { return static_cast<uint32_t>(x); });
  }
  static IntVec load(const uint8_t* p) {
    return make([=](int i) { return load_unaligned<uint32_t>(p + 4 * i); });
  }
  template <int kBits>
  IntVec shifted() const {  // left for positive kBits
    return make([this](int i) { return kBits > 0 ? v[i] << (kBits & 31) : v[i] >> (-kBits & 31); });
  }
  friend IntVec operator&(IntVec a, IntVec b) {
    return make([=](int i) { return a.v[i] & b.v[i]; });
  }
  friend IntVec operator|(IntVec a, IntVec b) {
    return make([=](int i) { return a.v[i] | b.v[i]; });
  }
  // Each byte, below 16, becomes table[byte].
  IntVec lookup(const uint8_t* table) const {
    return make([=, this](int i) {
      uint32_t word = 0;
      for (int b = 0; b < 4; ++b) word |= static_cast<uint32_t>(table[v[i] >> (8 * b) & 15]) << (8 * b);
      return word;
    });
  }
  Vec to_float() const {
    return Vec::make([this](int i) { return static_cast<float>(static_cast<int32_t>(v[i])); });
  }
  // init + sum over kChunks of the products of 4 codes (unsigned, kBits wide) and 4 activations.
  template <int kChunks, int kBits>
  static IntVec dot(const IntVec* codes, const int8_t* activations, IntVec init) {
    return make([=](int lane) {
      int32_t sum = static_cast<int32_t>(init.v[lane]);
      for (int i = 0; i < 4 * kChunks; ++i)
        sum += static_cast<int32_t>((codes[i / 4].v[lane] >> (8 * (i % 4))) & 255) * activations[i];
      return static_cast<uint32_t>(sum);
    });
  }
};

}  // namespace
}  // namespace mhub::kernels::cpu
