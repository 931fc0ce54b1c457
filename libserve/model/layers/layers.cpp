// SPDX-License-Identifier: Apache-2.0
#include "layers/layers.h"

#include <cmath>

namespace mhub::model {

void Attention::forward(const StepContext& step, kernels::TensorView out, kernels::TensorView x, int64_t layer) const {
  const int64_t q_size = num_attention_heads * head_dim, kv_size = num_key_value_heads * head_dim;
  const auto qkv = step.workspace.qkv.rows_at(0, x.rows);
  const auto heads = step.workspace.attention.rows_at(0, x.rows);
  qkv_proj.forward(step.backend, qkv, x);
  const auto q = qkv.cols_at(0, q_size);
  const auto k = qkv.cols_at(q_size, kv_size);
  const auto v = qkv.cols_at(q_size + kv_size, kv_size);
  step.backend.rope_and_write_kv(q, k, v, step.batch.positions, step.batch.slot_mapping,
                                 static_cast<const float*>(step.rope.cos_sin->data()), step.rope.rotary_dim,
                                 step.rope.style, step.cache, layer);
  const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  step.backend.paged_attention(heads, q, step.batch.attention(), scale, step.cache, layer);
  o_proj.forward(step.backend, out, heads);
}

void GatedMlp::forward(const StepContext& step, kernels::TensorView out, kernels::TensorView x) const {
  const auto gate_up = step.workspace.gate_up.rows_at(0, x.rows);
  const auto activated = step.workspace.activated.rows_at(0, x.rows);
  gate_up_proj.forward(step.backend, gate_up, x);
  step.backend.silu_mul(activated, gate_up);
  down_proj.forward(step.backend, out, activated);
}

}  // namespace mhub::model
