// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace mhub::kernels {

// What a layer's attention adds to plain causal attention.
struct AttentionOptions {
  float scale = 1.0f;
  int64_t window = 0;            // positions that a query sees, its own included; 0 = all up to its own
  float soft_cap = 0.0f;         // scores become cap * tanh(score / cap) before the mask; 0 = they do not
  const float* sinks = nullptr;  // device float32 [query heads]: a score per head that takes weight but has no value
};

enum class Activation {
  kSilu,
  kGeluTanh,     // GELU's tanh approximation
  kClampedSilu,  // gpt-oss: gate = min(gate, limit), up = clamp(up, +-limit): gate * sigmoid(alpha * gate) * (up + 1)
};
struct GatedActivation {
  Activation kind = Activation::kSilu;
  float alpha = 1.702f, limit = 7.0f;  // kClampedSilu
};

// How a router's logits [T, E] become chosen experts and their weights. All in float32.
struct RouterOptions {
  int64_t top_k = 1;
  bool sigmoid = false;         // scores: sigmoid of each logit; else softmax over all experts
  const float* bias = nullptr;  // device float32 [E] added to the scores for choosing only; null = none
  int64_t groups = 1;           // experts are chosen among those of the best kept_groups groups of E / groups
  int64_t kept_groups = 1;
  bool group_by_top_two = false;  // a group's score is the sum of its two best; else its best
  bool renormalize = false;       // weights are divided by their sum (+ 1e-20)
  float scale = 1.0f;             // then multiplied by this
};

// The (token, choice) pairs of a step in the order of their experts: row i of the grouped matrices belongs to the
// expert e with offsets[e] <= i < offsets[e + 1]. Device memory of the caller; filled by Backend::route_experts.
struct ExpertRows {
  int64_t tokens = 0, top_k = 0, experts = 0;
  int32_t* offsets = nullptr;       // [experts + 1]
  int32_t* row_tokens = nullptr;    // [tokens * top_k] token of each row
  int32_t* choice_rows = nullptr;   // [tokens, top_k] row of each choice, best choice first
  float* choice_weights = nullptr;  // [tokens, top_k]

  int64_t rows() const { return tokens * top_k; }
};

}  // namespace mhub::kernels
