// SPDX-License-Identifier: Apache-2.0
// Plain references of the back-end operations, accumulated in double. Slow and obvious on purpose.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace mhub::ref {

using Rows = std::vector<float>;  // row-major

inline std::vector<double> linear(const Rows& x, const Rows& w, const float* bias, int64_t t, int64_t n, int64_t k) {
  std::vector<double> out(static_cast<size_t>(t * n));
  for (int64_t i = 0; i < t; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = bias == nullptr ? 0.0 : bias[j];
      for (int64_t c = 0; c < k; ++c)
        sum += static_cast<double>(x[static_cast<size_t>(i * k + c)]) * w[static_cast<size_t>(j * k + c)];
      out[static_cast<size_t>(i * n + j)] = sum;
    }
  }
  return out;
}

inline std::vector<double> rms_norm(const Rows& x, const Rows& weight, double eps) {
  const size_t n = weight.size();
  std::vector<double> out(x.size());
  for (size_t row = 0; row < x.size(); row += n) {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += static_cast<double>(x[row + i]) * x[row + i];
    const double inverse = 1.0 / std::sqrt(sum / static_cast<double>(n) + eps);
    for (size_t i = 0; i < n; ++i) out[row + i] = x[row + i] * inverse * weight[i];
  }
  return out;
}

inline double silu(double x) {
  return x / (1.0 + std::exp(-x));
}

// Rotates one head: pairs (i, i + half) or (2i, 2i + 1) of the first 2 * half elements.
inline std::vector<double> rope(const float* head, int64_t dim, const float* cos_sin, int64_t half, bool interleaved) {
  std::vector<double> out(head, head + dim);
  for (int64_t i = 0; i < half; ++i) {
    const size_t a = static_cast<size_t>(interleaved ? 2 * i : i);
    const size_t b = static_cast<size_t>(interleaved ? 2 * i + 1 : i + half);
    const double c = cos_sin[i], s = cos_sin[half + i], x = head[a], y = head[b];
    out[a] = x * c - y * s;
    out[b] = y * c + x * s;
  }
  return out;
}

inline double gelu_tanh(double x) {
  return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

inline double soft_cap(double x, double cap) {
  return cap * std::tanh(x / cap);
}

// What attend() adds to plain attention: scores capped (0 = not), and one more score that has no value.
struct Attend {
  double soft_cap = 0;
  const float* sink = nullptr;
};

// Attention of one query head of one token over the given keys [dim] and values [value_dim].
inline std::vector<double> attend(const float* q, const std::vector<const float*>& keys,
                                  const std::vector<const float*>& values, int64_t dim, double scale,
                                  int64_t value_dim = 0, const Attend& options = {}) {
  if (value_dim == 0) value_dim = dim;
  std::vector<double> p(keys.size());
  double top = options.sink == nullptr ? -1e300 : *options.sink, total = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    double sum = 0;
    for (int64_t d = 0; d < dim; ++d) sum += static_cast<double>(q[d]) * keys[i][d];
    p[i] = sum * scale;
    if (options.soft_cap > 0) p[i] = soft_cap(p[i], options.soft_cap);
    top = std::max(top, p[i]);
  }
  for (double& x : p) total += x = std::exp(x - top);
  if (options.sink != nullptr) total += std::exp(*options.sink - top);
  std::vector<double> out(static_cast<size_t>(value_dim), 0.0);
  for (size_t i = 0; i < keys.size(); ++i) {
    for (int64_t d = 0; d < value_dim; ++d) out[static_cast<size_t>(d)] += p[i] / total * values[i][d];
  }
  return out;
}

}  // namespace mhub::ref
