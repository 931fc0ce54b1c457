// SPDX-License-Identifier: Apache-2.0
// Mixture of experts: routing, products grouped by expert, weighted sums.
#include <cstring>

#include "checks.h"
#include "cpu_backend.h"
#include "expert_router.h"

namespace mhub::kernels::cpu {

void CpuBackend::route_experts(const ExpertRows& rows, TensorView logits, const RouterOptions& options) {
  require_f32(logits);
  require(logits.rows == rows.tokens && logits.cols == rows.experts, "route_experts: shapes differ");
  require(options.top_k == rows.top_k && options.top_k > 0 && options.top_k <= rows.experts,
          "route_experts: bad top_k");
  require(options.groups > 0 && rows.experts % options.groups == 0 && options.kept_groups > 0 &&
              options.kept_groups <= options.groups &&
              options.kept_groups * (rows.experts / options.groups) >= options.top_k,
          "route_experts: bad groups");
  ExpertRouter router(options);
  expert_choices_.resize(static_cast<size_t>(rows.rows()));
  for (int64_t t = 0; t < rows.tokens; ++t) {
    router.choose(logits.f32_row(t), rows.experts, expert_choices_.data() + t * rows.top_k,
                  rows.choice_weights + t * rows.top_k);
  }
  group_by_expert(rows, expert_choices_.data());
}

void CpuBackend::grouped_linear(TensorView out, TensorView x, const ExpertRows& rows, bool by_token,
                                const PreparedWeight& stacked, const float* bias) {
  require_f32(out);
  require_f32(x);
  const CpuWeight& weight = as_cpu(stacked);
  const int64_t parts = static_cast<int64_t>(weight.parts().size());
  require(rows.experts > 0 && parts % rows.experts == 0 && weight.rows() == rows.experts * out.cols &&
              weight.cols() == x.cols && out.rows == rows.rows() && x.rows == (by_token ? rows.tokens : rows.rows()),
          "grouped_linear: shapes differ");
  const auto per_expert = static_cast<size_t>(parts / rows.experts);
  for (int64_t e = 0; e < rows.experts; ++e) {
    const int64_t first = rows.offsets[e], count = rows.offsets[e + 1] - first;
    if (count == 0) continue;
    TensorView input = x;
    if (by_token) {
      expert_input_.resize(static_cast<size_t>(count * x.cols));
      for (int64_t i = 0; i < count; ++i) {
        std::memcpy(expert_input_.data() + i * x.cols, x.f32_row(rows.row_tokens[first + i]),
                    static_cast<size_t>(x.cols) * sizeof(float));
      }
      input = {expert_input_.data(), DType::kF32, count, x.cols, x.cols};
    } else {
      input = x.rows_at(first, count);
    }
    linear_.run(out.rows_at(first, count), input,
                std::span(weight.parts()).subspan(static_cast<size_t>(e) * per_expert, per_expert),
                bias == nullptr ? nullptr : bias + e * out.cols);
  }
}

void CpuBackend::combine_experts(TensorView out, TensorView x, const ExpertRows& rows) {
  require_f32(out);
  require_f32(x);
  require(out.rows == rows.tokens && x.rows == rows.rows() && out.cols == x.cols, "combine_experts: shapes differ");
  for_rows(out.rows, out.cols * rows.top_k, [&](int64_t t) {
    float* sum = out.f32_row(t);
    std::memset(sum, 0, static_cast<size_t>(out.cols) * sizeof(float));
    for (int64_t j = t * rows.top_k; j < (t + 1) * rows.top_k; ++j)
      isa_.add_scaled(sum, x.f32_row(rows.choice_rows[j]), rows.choice_weights[j], out.cols);
  });
}

}  // namespace mhub::kernels::cpu
