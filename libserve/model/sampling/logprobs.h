// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "mhub/model/sampling_params.h"
#include "sampling/vector_math.h"

namespace mhub::model {

// Log-softmax of one row: the chosen token's value and rank, and the `top` likeliest (lower id first among equals).
// Precondition: max is row_max(logits) and finite; 0 <= chosen < logits.size().
PositionLogprobs position_logprobs(std::span<const float> logits, const RowMax& max, int32_t chosen, int32_t top);

// The same for given tokens (those outside the row are left out) instead of the likeliest.
PositionLogprobs position_logprobs(std::span<const float> logits, const RowMax& max, int32_t chosen,
                                   std::span<const int32_t> tokens);

}  // namespace mhub::model
