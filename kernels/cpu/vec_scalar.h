// SPDX-License-Identifier: Apache-2.0
// The vector type of the portable path: plain loops that the compiler may turn into whatever the target has.
#pragma once

#include <cmath>

#include "half.h"

namespace mhub::kernels::cpu {
namespace {

struct Vec {
  static constexpr int kWidth = 8;
  static constexpr int kRowTile = 2;  // query rows that attention keeps in registers
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
    return make([=](int i) { return p[i]; });
  }
  static Vec load_n(const float* p, int64_t n) {
    return make([=](int i) { return i < n ? p[i] : 0.0f; });
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

}  // namespace
}  // namespace mhub::kernels::cpu
