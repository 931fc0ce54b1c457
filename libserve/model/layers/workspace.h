// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "mhub/base/result.h"
#include "mhub/formats/model_config.h"
#include "mhub/kernels/backend.h"

namespace mhub::model {

// Activations of one step, allocated once for `max_tokens` tokens. Rows of a view beyond the step's T are unused.
// qkv and attention live while gate_up and activated do not, so they share memory.
struct Workspace {
  kernels::TensorView residual;   // [T, hidden_size]
  kernels::TensorView normed;     // [T, hidden_size]
  kernels::TensorView output;     // [T, hidden_size] of attention or MLP
  kernels::TensorView qkv;        // [T, (heads + 2 kv_heads) * head_dim]
  kernels::TensorView attention;  // [T, heads * head_dim]
  kernels::TensorView gate_up;    // [T, 2 * intermediate_size]
  kernels::TensorView activated;  // [T, intermediate_size]
  kernels::TensorView sampled;    // [R, hidden_size] the rows whose logits are wanted
  kernels::TensorView logits;     // [R, vocab_size] float32

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
  std::unique_ptr<kernels::Buffer> memory_;
};

}  // namespace mhub::model
