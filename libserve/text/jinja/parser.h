// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "ast.h"

namespace mhub::text::jinja {

// The statements of a template. Throws TemplateError (kSyntax, kLimit) with the line.
Body parse_template(std::string_view source);

}  // namespace mhub::text::jinja
