// SPDX-License-Identifier: Apache-2.0
// Operations on rows of activations that the Llama graph does without.
#include <cmath>
#include <cstring>

#include "checks.h"
#include "cpu_backend.h"

namespace mhub::kernels::cpu {

void CpuBackend::head_rms_norm(TensorView x, int64_t head_dim, const float* weight, float eps) {
  require_f32(x);
  require(head_dim > 0 && x.cols % head_dim == 0, "head_rms_norm: columns are not whole heads");
  for_rows(x.rows, x.cols, [&](int64_t t) {
    float* row = x.f32_row(t);
    for (int64_t c = 0; c < x.cols; c += head_dim) isa_.rms_norm(row + c, row + c, weight, head_dim, eps);
  });
}

void CpuBackend::gated_activation(TensorView out, TensorView gate_up, const GatedActivation& activation) {
  require_f32(out);
  require_f32(gate_up);
  require(gate_up.rows == out.rows && gate_up.cols == 2 * out.cols, "gated_activation: shapes differ");
  for_rows(out.rows, out.cols, [&](int64_t t) {
    isa_.gated(out.f32_row(t), gate_up.f32_row(t), gate_up.f32_row(t) + out.cols, out.cols, activation);
  });
}

void CpuBackend::scale(TensorView x, float factor) {
  require_f32(x);
  for_rows(x.rows, x.cols, [&](int64_t t) { isa_.scale(x.f32_row(t), factor, x.cols); });
}

void CpuBackend::soft_cap(TensorView x, float cap) {
  require_f32(x);
  require(cap > 0.0f, "soft_cap: the cap is not positive");
  for_rows(x.rows, x.cols, [&](int64_t t) { isa_.soft_cap(x.f32_row(t), cap, x.cols); });
}

void CpuBackend::add(TensorView sum, TensorView x) {
  require_same_shape(sum, x, "add: shapes differ");
  for_rows(x.rows, x.cols, [&](int64_t t) { isa_.add(sum.f32_row(t), x.f32_row(t), x.cols); });
}

void CpuBackend::add_gated(TensorView sum, TensorView x, TensorView gate) {
  require_same_shape(sum, x, "add_gated: shapes differ");
  require_f32(gate);
  require(gate.rows == x.rows && gate.cols == 1, "add_gated: one gate per row");
  for_rows(x.rows, x.cols, [&](int64_t t) {
    const float factor = 1.0f / (1.0f + std::exp(-gate.f32_row(t)[0]));
    isa_.add_scaled(sum.f32_row(t), x.f32_row(t), factor, x.cols);
  });
}

void CpuBackend::copy_heads(TensorView out, int64_t out_step, TensorView x, int64_t x_step, int64_t heads,
                            int64_t width) {
  require_f32(out);
  require_f32(x);
  require(out.rows == x.rows && heads > 0 && width > 0 && (heads - 1) * out_step + width <= out.cols &&
              (heads - 1) * x_step + width <= x.cols,
          "copy_heads: a head lies past the end");
  for_rows(x.rows, heads * width, [&](int64_t t) {
    for (int64_t h = 0; h < heads; ++h)
      std::memcpy(out.f32_row(t) + h * out_step, x.f32_row(t) + h * x_step, static_cast<size_t>(width) * sizeof(float));
  });
}

}  // namespace mhub::kernels::cpu
