// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "grammar.h"

namespace mhub::constraint {

// EBNF as xgrammar and GBNF write it: `name ::= ...` with "literals", [classes], ., ( ), |, *, +, ?, {m,n} and #
// comments; the answer is the rule `root`. Errors (kInvalidRequest) have the line.
Result<void> parse_ebnf(std::string_view text, Grammar& to);

}  // namespace mhub::constraint
