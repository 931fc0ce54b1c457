// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "grammar.h"
#include "mhub/constraint/spec.h"

namespace mhub::constraint {

// JSON texts of a JSON schema (docs/structured-output.md has the subset). Errors (kInvalidRequest) name the keyword and
// where it stands.
Result<void> compile_schema(const Spec& spec, Grammar& to);

}  // namespace mhub::constraint
