// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "layers/step_batch.h"
#include "layers/workspace.h"
#include "mhub/kernels/backend.h"

namespace mhub::model {

// cos/sin of every position, on the device.
struct RopeTable {
  std::unique_ptr<kernels::Buffer> cos_sin;  // float32 [max_model_len, rotary_dim]
  int64_t rotary_dim = 0;
  kernels::RopeStyle style = kernels::RopeStyle::kHalf;
};

// What one forward pass works with; borrowed for the call.
struct StepContext {
  kernels::Backend& backend;
  const StepBatch& batch;
  const Workspace& workspace;
  const RopeTable& rope;
  kernels::KvCache& cache;
};

// y = x W^T + b; one Hugging Face Linear or several stacked along their rows.
struct Linear {
  std::unique_ptr<kernels::PreparedWeight> weight;
  std::unique_ptr<kernels::Buffer> bias;  // float32 [rows] or null

  void forward(kernels::Backend& backend, kernels::TensorView out, kernels::TensorView x) const {
    backend.linear(out, x, *weight, bias ? static_cast<const float*>(bias->data()) : nullptr);
  }
};

struct RmsNorm {
  std::unique_ptr<kernels::Buffer> weight;  // float32 [hidden_size]
  float eps = 1e-6f;

  void forward(kernels::Backend& backend, kernels::TensorView out, kernels::TensorView x) const {
    backend.rms_norm(out, x, static_cast<const float*>(weight->data()), eps);
  }
  // residual += x; out = norm(residual).
  void add_forward(kernels::Backend& backend, kernels::TensorView out, kernels::TensorView residual,
                   kernels::TensorView x) const {
    backend.add_rms_norm(out, residual, x, static_cast<const float*>(weight->data()), eps);
  }
};

// Grouped-query self attention with rotary embedding over the paged cache.
struct Attention {
  Linear qkv_proj;  // q_proj, k_proj, v_proj stacked
  Linear o_proj;
  int64_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;

  // out, x: [T, hidden_size].
  void forward(const StepContext& step, kernels::TensorView out, kernels::TensorView x, int64_t layer) const;
};

// down(silu(gate(x)) * up(x)).
struct GatedMlp {
  Linear gate_up_proj;  // gate_proj, up_proj stacked
  Linear down_proj;

  // out, x: [T, hidden_size].
  void forward(const StepContext& step, kernels::TensorView out, kernels::TensorView x) const;
};

}  // namespace mhub::model
