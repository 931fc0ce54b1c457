// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "grammar.h"

namespace mhub::constraint {

// A bound as JSON wrote it, e.g. -12.5.
struct NumberBound {
  double value = 0;
  bool exclusive = false;
};

// Decimal numbers of at most 16 digits before the point (more where a bound has more) and 12 to 16 behind it, without
// exponent where there is a bound. Errors: no number is in the range, a bound with more than 40 digits.
Result<ExprId> number_in(std::optional<NumberBound> low, std::optional<NumberBound> high, bool integer, Grammar& to);

}  // namespace mhub::constraint
