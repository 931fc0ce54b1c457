// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "layers/layers.h"

namespace mhub::model {

// Mixture of experts: each token's chosen experts, weighted, and the shared expert where there is one.
struct ExpertMlp final : FeedForward {
  Linear router;                                             // [num_experts, hidden_size], float32
  std::unique_ptr<kernels::Buffer> correction_bias;          // float32 [num_experts] or null: chooses, does not weigh
  std::unique_ptr<kernels::PreparedWeight> gate_up, down;    // all experts stacked
  std::unique_ptr<kernels::Buffer> gate_up_bias, down_bias;  // float32 or null
  kernels::RouterOptions routing;                            // its bias is filled in by forward()
  kernels::GatedActivation activation;
  std::optional<GatedMlp> shared;
  Linear shared_gate;  // [1, hidden_size]: the shared expert counts by its sigmoid; without weight it counts whole

  void forward(const StepContext& step, kernels::TensorView out, kernels::TensorView x) const override;
};

}  // namespace mhub::model
