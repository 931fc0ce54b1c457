// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "grammar.h"

namespace mhub::constraint {

// What stands between the quotes of a JSON string that matches a pattern (somewhere, as JSON schema has it) or has a
// format. Errors: the regex; an unknown format.
Result<ExprId> string_pattern(std::string_view regex, Grammar& to);
Result<ExprId> string_format(std::string_view format, Grammar& to);

}  // namespace mhub::constraint
