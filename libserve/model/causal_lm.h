// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "layers/layers.h"

namespace mhub::model {

// A model family's definition with its weights. The implementations (llama.cpp, qwen2.cpp) read like the paper.
class CausalLM {
 public:
  virtual ~CausalLM() = default;
  // Hidden states after the final norm, [T, hidden_size] in the workspace, valid until the next forward().
  virtual kernels::TensorView forward(const StepContext& step) const = 0;
  // out[R, vocab_size] = lm_head(hidden[R, hidden_size]).
  virtual void compute_logits(kernels::Backend& backend, kernels::TensorView out, kernels::TensorView hidden) const = 0;
};

}  // namespace mhub::model
