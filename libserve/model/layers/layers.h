// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "layers/kv_groups.h"
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
  const RopeTable& local_rope;  // of the layers that slide; the same as rope where a model has one
  kernels::KvCache& cache;
  const KvGroups& kv_groups;
};

inline const float* device_floats(const std::unique_ptr<kernels::Buffer>& buffer) {
  return buffer ? static_cast<const float*>(buffer->data()) : nullptr;
}

// y = x W^T + b; one Hugging Face Linear or several stacked along their rows.
struct Linear {
  std::unique_ptr<kernels::PreparedWeight> weight;
  std::unique_ptr<kernels::Buffer> bias;  // float32 [rows] or null

  void forward(kernels::Backend& backend, kernels::TensorView out, kernels::TensorView x) const {
    backend.linear(out, x, *weight, device_floats(bias));
  }
};

struct RmsNorm {
  std::unique_ptr<kernels::Buffer> weight;  // float32 [hidden_size]
  float eps = 1e-6f;

  void forward(kernels::Backend& backend, kernels::TensorView out, kernels::TensorView x) const {
    backend.rms_norm(out, x, device_floats(weight), eps);
  }
  // residual += x; out = norm(residual).
  void add_forward(kernels::Backend& backend, kernels::TensorView out, kernels::TensorView residual,
                   kernels::TensorView x) const {
    backend.add_rms_norm(out, residual, x, device_floats(weight), eps);
  }
  // Each head of x by itself, in place; weight [head_dim].
  void forward_heads(kernels::Backend& backend, kernels::TensorView x, int64_t head_dim) const {
    backend.head_rms_norm(x, head_dim, device_floats(weight), eps);
  }
};

class SelfAttention {
 public:
  virtual ~SelfAttention() = default;
  // out, x: [T, hidden_size].
  virtual void forward(const StepContext& step, kernels::TensorView out, kernels::TensorView x,
                       int64_t layer) const = 0;
};

class FeedForward {
 public:
  virtual ~FeedForward() = default;
  // out, x: [T, hidden_size].
  virtual void forward(const StepContext& step, kernels::TensorView out, kernels::TensorView x) const = 0;
};

// Grouped-query self attention with rotary embedding over the paged cache.
struct Attention final : SelfAttention {
  enum class QkNorm { kNone, kHeads, kWhole };  // before the rotation: each head by itself, or all heads as one vector

  Linear qkv_proj;  // q_proj, k_proj, v_proj stacked
  Linear o_proj;
  QkNorm qk_norm = QkNorm::kNone;
  RmsNorm q_norm, k_norm;
  std::unique_ptr<kernels::Buffer> sinks;  // float32 [num_attention_heads] or null
  int64_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;
  kernels::AttentionOptions options;  // sinks are filled in by forward()
  bool local_rope = false;

  void forward(const StepContext& step, kernels::TensorView out, kernels::TensorView x, int64_t layer) const override;
};

// down(activation(gate(x)) * up(x)).
struct GatedMlp final : FeedForward {
  Linear gate_up_proj;  // gate_proj, up_proj stacked
  Linear down_proj;
  kernels::GatedActivation activation;

  void forward(const StepContext& step, kernels::TensorView out, kernels::TensorView x) const override;
};

}  // namespace mhub::model
