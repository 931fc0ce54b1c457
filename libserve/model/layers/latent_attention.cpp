// SPDX-License-Identifier: Apache-2.0
#include "layers/latent_attention.h"

namespace mhub::model {
namespace {

std::vector<const kernels::PreparedWeight*> pointers(const std::vector<std::unique_ptr<kernels::PreparedWeight>>& own) {
  std::vector<const kernels::PreparedWeight*> out;
  out.reserve(own.size());
  for (const auto& weight : own) out.push_back(weight.get());
  return out;
}

}  // namespace

void LatentAttention::forward(const StepContext& step, kernels::TensorView out, kernels::TensorView x,
                              int64_t layer) const {
  kernels::Backend& backend = step.backend;
  const Workspace& ws = step.workspace;
  const int64_t q_dim = nope_dim + rope_dim, key_dim = rope_dim + latent_dim;
  const auto q = ws.qkv.rows_at(0, x.rows);                     // [T, heads * (nope + rope)]
  const auto key = ws.latent_key.rows_at(0, x.rows);            // [T, rope + latent]
  const auto latent_q = ws.latent_query.rows_at(0, x.rows);     // [T, heads * (rope + latent)]
  const auto latent_out = ws.latent_output.rows_at(0, x.rows);  // [T, heads * latent]
  const auto heads = ws.attention.rows_at(0, x.rows);           // [T, heads * value]

  if (q_a_proj.weight) {
    const auto low = ws.low_rank_query.rows_at(0, x.rows);  // [T, q_lora_rank]
    q_a_proj.forward(backend, low, x);
    q_a_layernorm.forward(backend, low, low);
    q_b_proj.forward(backend, q, low);
  } else {
    q_b_proj.forward(backend, q, x);
  }
  kv_a_proj.forward(backend, key, x);
  const auto latent = key.cols_at(rope_dim, latent_dim);
  kv_a_layernorm.forward(backend, latent, latent);

  backend.copy_heads(latent_q, key_dim, q.cols_at(nope_dim, q.cols - nope_dim), q_dim, num_heads, rope_dim);
  backend.linear_heads(latent_q.cols_at(rope_dim, latent_q.cols - rope_dim), key_dim, q, q_dim, pointers(key_heads));
  const KvGroups::Place kv = step.kv_groups.places[static_cast<size_t>(layer)];
  backend.rope_and_write_kv(latent_q, key, {}, step.batch.positions, step.batch.groups[kv.group].slot_mapping,
                            device_floats(step.rope.cos_sin), rope_dim, step.rope.style, step.cache, kv.layer);
  backend.attention(latent_out, latent_q, step.batch.attention(kv.group), options, step.cache, kv.layer);
  backend.linear_heads(heads, value_dim, latent_out, latent_dim, pointers(value_heads));
  o_proj.forward(backend, out, heads);
}

}  // namespace mhub::model
