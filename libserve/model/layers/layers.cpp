// SPDX-License-Identifier: Apache-2.0
#include "layers/layers.h"

namespace mhub::model {

void Attention::forward(const StepContext& step, kernels::TensorView out, kernels::TensorView x, int64_t layer) const {
  const int64_t q_size = num_attention_heads * head_dim, kv_size = num_key_value_heads * head_dim;
  const auto qkv = step.workspace.qkv.rows_at(0, x.rows);
  const auto heads = step.workspace.attention.rows_at(0, x.rows);
  qkv_proj.forward(step.backend, qkv, x);
  const auto q = qkv.cols_at(0, q_size);
  const auto k = qkv.cols_at(q_size, kv_size);
  const auto v = qkv.cols_at(q_size + kv_size, kv_size);
  if (qk_norm == QkNorm::kHeads) {
    q_norm.forward_heads(step.backend, q, head_dim);
    k_norm.forward_heads(step.backend, k, head_dim);
  } else if (qk_norm == QkNorm::kWhole) {
    q_norm.forward(step.backend, q, q);
    k_norm.forward(step.backend, k, k);
  }
  const RopeTable& rope = local_rope ? step.local_rope : step.rope;
  const KvGroups::Place kv = step.kv_groups.places[static_cast<size_t>(layer)];
  step.backend.rope_and_write_kv(q, k, v, step.batch.positions, step.batch.groups[kv.group].slot_mapping,
                                 device_floats(rope.cos_sin), rope.rotary_dim, rope.style, step.cache, kv.layer);
  kernels::AttentionOptions with_sinks = options;
  with_sinks.sinks = device_floats(sinks);
  step.backend.attention(heads, q, step.batch.attention(kv.group), with_sinks, step.cache, kv.layer);
  o_proj.forward(step.backend, out, heads);
}

void GatedMlp::forward(const StepContext& step, kernels::TensorView out, kernels::TensorView x) const {
  const int64_t width = gate_up_proj.weight->rows() / 2;
  const auto gate_up = step.workspace.gate_up.rows_at(0, x.rows).cols_at(0, 2 * width);
  const auto activated = step.workspace.activated.rows_at(0, x.rows).cols_at(0, width);
  step.backend.gated_linear(activated, gate_up, x, *gate_up_proj.weight, device_floats(gate_up_proj.bias), activation);
  down_proj.forward(step.backend, out, activated);
}

}  // namespace mhub::model
