// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "grammar.h"

namespace mhub::constraint {

// How a set of characters of a regex is spelled in the output. The default is UTF-8 as it is; in a JSON string some
// characters have to be escaped.
using CharSpelling = std::function<ExprId(Grammar& grammar, const CodePointSet& set)>;

struct RegexOptions {
  bool search = false;    // the expression may match anywhere (unless anchored); false: it spans the whole text
  CharSpelling spelling;  // null = UTF-8
};

// Syntax common to Python, JavaScript and Rust, without what is no regular language. Errors (kInvalidRequest) say what
// and where: look-around, back-references, word boundaries, properties, flags, an anchor in the middle.
Result<ExprId> parse_regex(std::string_view text, const RegexOptions& options, Grammar& to);

}  // namespace mhub::constraint
