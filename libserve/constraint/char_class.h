// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "code_points.h"
#include "mhub/base/result.h"

namespace mhub::constraint {

// The characters of \d, \w, \s and their capitals (ASCII); nullopt for other letters.
std::optional<CodePointSet> class_of_letter(char32_t letter);
CodePointSet any_but_newline();

// What follows a backslash and stands for one character: \n, \xHH, \uHHHH, \UHHHHHHHH, \u{H..}, or the character
// itself when it is no letter or digit. `text` stands behind the backslash; moved behind the escape.
Result<char32_t> take_escaped(std::string_view& text);

// A class behind its '[', up to and with its ']'. Errors: not closed, a range backwards, unknown escapes.
Result<CodePointSet> take_class(std::string_view& text);

// A number of at most 6 digits at the front of `text`.
std::optional<uint32_t> take_number(std::string_view& text);

}  // namespace mhub::constraint
