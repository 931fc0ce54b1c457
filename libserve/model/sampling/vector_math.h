// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace mhub::model {

// Passes over a row of logits, written so that the compiler vectorizes them.

struct RowMax {
  float value = 0;
  bool finite = true;  // false: some element is NaN or +inf, or all are -inf
};
RowMax row_max(std::span<const float> row);
// Index of the first element equal to `value`. Precondition: there is one.
int32_t first_equal(std::span<const float> row, float value);
// out[i] = exp((row[i] - shift) * scale), relative error below 1e-6, 0 below the smallest normal float. Returns the
// sum. Precondition: (row[i] - shift) * scale <= 0.
double exp_row(std::span<float> out, std::span<const float> row, float shift, float scale);
// Sum of exp(row[i] - shift), without storing.
double sum_exp(std::span<const float> row, float shift);

}  // namespace mhub::model
