// SPDX-License-Identifier: Apache-2.0
#include "sampling/vector_math.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

// Wider vectors where the processor has them. No clones under sanitizers: their run time is not up when these resolve.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define MHUB_VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MHUB_VECTOR_CLONES
#endif

namespace mhub::model {
namespace {

constexpr size_t kLanes = 16;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// exp for x <= 0: 2^n * e^r with |r| <= ln 2 / 2; branch free.
inline float exp_negative(float x) {
  constexpr float kLog2E = 1.44269504f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float clamped = x < -87.0f ? -87.0f : x;
  const float shifted = clamped * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = clamped - n * kLn2High - n * kLn2Low;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t exponent = (std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kRound) + 127) << 23;
  const float value = p * std::bit_cast<float>(exponent);
  return x < -87.0f ? 0.0f : value;
}

}  // namespace

MHUB_VECTOR_CLONES RowMax row_max(std::span<const float> row) {
  float best[kLanes];
  int32_t bad[kLanes] = {};
  std::fill(best, best + kLanes, -kInfinity);
  const size_t whole = row.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) {
      const float x = row[i + l];
      bad[l] |= !(x < kInfinity);
      best[l] = x > best[l] ? x : best[l];
    }
  }
  RowMax result{-kInfinity, true};
  for (size_t l = 0; l < kLanes; ++l) {
    result.value = std::max(result.value, best[l]);
    if (bad[l]) result.finite = false;
  }
  for (size_t i = whole; i < row.size(); ++i) {
    if (!(row[i] < kInfinity)) result.finite = false;
    if (row[i] > result.value) result.value = row[i];
  }
  if (result.value == -kInfinity) result.finite = false;
  return result;
}

int32_t first_equal(std::span<const float> row, float value) {
  return static_cast<int32_t>(std::find(row.begin(), row.end(), value) - row.begin());
}

MHUB_VECTOR_CLONES double exp_row(std::span<float> out, std::span<const float> row, float shift, float scale) {
  double total = 0;
  const size_t whole = row.size() / kLanes * kLanes;
  constexpr size_t kFlush = 64 * kLanes;  // float partial sums stay short
  for (size_t begin = 0; begin < whole; begin += kFlush) {
    float sums[kLanes] = {};
    const size_t end = std::min(whole, begin + kFlush);
    for (size_t i = begin; i < end; i += kLanes) {
      for (size_t l = 0; l < kLanes; ++l) {
        const float e = exp_negative((row[i + l] - shift) * scale);
        out[i + l] = e;
        sums[l] += e;
      }
    }
    for (const float sum : sums) total += static_cast<double>(sum);
  }
  for (size_t i = whole; i < row.size(); ++i) {
    out[i] = exp_negative((row[i] - shift) * scale);
    total += static_cast<double>(out[i]);
  }
  return total;
}

MHUB_VECTOR_CLONES double sum_exp(std::span<const float> row, float shift) {
  double total = 0;
  const size_t whole = row.size() / kLanes * kLanes;
  constexpr size_t kFlush = 64 * kLanes;
  for (size_t begin = 0; begin < whole; begin += kFlush) {
    float sums[kLanes] = {};
    const size_t end = std::min(whole, begin + kFlush);
    for (size_t i = begin; i < end; i += kLanes) {
      for (size_t l = 0; l < kLanes; ++l) sums[l] += exp_negative(row[i + l] - shift);
    }
    for (const float sum : sums) total += static_cast<double>(sum);
  }
  for (size_t i = whole; i < row.size(); ++i) total += static_cast<double>(exp_negative(row[i] - shift));
  return total;
}

}  // namespace mhub::model
