// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "mhub/base/result.h"
#include "mhub/formats/model_config.h"
#include "mhub/kernels/backend.h"

namespace mhub::model {

// Activations of one step, allocated once for `max_tokens` tokens. Rows of a view beyond the step's T are unused, views
// that a model does without have no columns. What attention uses and what the MLP uses are never alive together, so
// they share memory.
struct Workspace {
  kernels::TensorView residual;  // [T, hidden_size]
  kernels::TensorView normed;    // [T, hidden_size]
  kernels::TensorView output;    // [T, hidden_size] of attention or MLP
  kernels::TensorView sampled;   // [R, hidden_size] the rows whose logits are wanted
  kernels::TensorView logits;    // [R, vocab_size] float32

  kernels::TensorView qkv;        // [T, (heads + 2 kv_heads) * head_dim]; latent attention: [T, heads * head_dim]
  kernels::TensorView attention;  // [T, heads * value dim]
  kernels::TensorView low_rank_query, latent_key, latent_query, latent_output;  // layers/latent_attention.cpp

  kernels::TensorView gate_up;    // [T, 2 * intermediate_size]
  kernels::TensorView activated;  // [T, intermediate_size]
  // Mixture of experts; T * experts per token rows where an expert's name is in it. router_logits and shared_gate are
  // float32.
  kernels::TensorView router_logits, expert_gate_up, expert_activated, expert_output, shared_output, shared_gate;
  kernels::ExpertRows expert_rows(int64_t tokens, int64_t top_k, int64_t experts) const;

  struct Need {
    int64_t tokens = 0;        // of one step
    int64_t rows_at_once = 0;  // logits of so many rows must fit at a time (0 = any number)
    kernels::DType activation = kernels::DType::kF32;
  };
  struct Size {
    int64_t max_tokens = 0;
    int64_t max_logit_rows = 0;
    uint64_t bytes = 0;
    kernels::DType activation = kernels::DType::kF32;
  };
  // The one statement of what a step needs; make() allocates exactly this.
  static Size size(const formats::ModelConfig& config, const Need& need);
  // kDevice when the device has not that much memory.
  static Result<Workspace> make(kernels::Backend& backend, const formats::ModelConfig& config, const Size& size);

 private:
  // Lays every view out from `base` on and returns the number of bytes. With a null base the views are not used.
  uint64_t lay_out(const formats::ModelConfig& config, const Size& size, std::byte* base);
  kernels::TensorView routing_;  // [1, ints and weights of expert_rows]
  std::unique_ptr<kernels::Buffer> memory_;
};

}  // namespace mhub::model
