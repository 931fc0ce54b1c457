// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mhub::text::jinja {

enum class TokenKind {
  kData,
  kBlockBegin,
  kBlockEnd,
  kVariableBegin,
  kVariableEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind;
  std::string text;  // data, name, operator, digits; of a string the value with escapes resolved
  int line;
};

// Splits a template source as Jinja does with trim_blocks and lstrip_blocks: newlines become \n, one at the end is
// dropped, comments vanish. The last token is kEnd. Throws TemplateError (kSyntax).
std::vector<Token> tokenize(std::string_view source);

}  // namespace mhub::text::jinja
