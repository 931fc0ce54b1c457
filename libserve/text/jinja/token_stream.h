// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "lexer.h"
#include "limits.h"

namespace mhub::text::jinja {

// Reading position in the tokens of a template, and its errors.
class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& current() const { return tokens_[pos_]; }
  const Token& ahead() const { return tokens_[pos_ + 1 < tokens_.size() ? pos_ + 1 : pos_]; }
  int line() const { return current().line; }
  const Token& next() {
    const Token& token = tokens_[pos_];
    if (token.kind != TokenKind::kEnd) ++pos_;
    return token;
  }
  bool is(TokenKind kind) const { return current().kind == kind; }
  bool is_operator(std::string_view op) const { return is(TokenKind::kOperator) && current().text == op; }
  bool is_name(std::string_view name) const { return is(TokenKind::kName) && current().text == name; }
  bool is_any_name(std::initializer_list<std::string_view> names) const {
    for (const auto name : names) {
      if (is_name(name)) return true;
    }
    return false;
  }
  bool skip_operator(std::string_view op) {
    if (!is_operator(op)) return false;
    next();
    return true;
  }
  bool skip_name(std::string_view name) {
    if (!is_name(name)) return false;
    next();
    return true;
  }
  void expect_operator(std::string_view op) {
    if (!skip_operator(op)) unexpected(std::string(op));
  }
  std::string expect_name() {
    if (!is(TokenKind::kName)) unexpected("a name");
    return next().text;
  }
  void expect(TokenKind kind, std::string_view what) {
    if (!is(kind)) unexpected(what);
    next();
  }

  [[noreturn]] void unexpected(std::string_view wanted) const {
    error("expected " + std::string(wanted) + ", got " + describe(current()));
  }
  [[noreturn]] void error(std::string message) const {
    throw TemplateError{ErrorKind::kSyntax, std::move(message), line()};
  }

 private:
  static std::string describe(const Token& token) {
    switch (token.kind) {
      case TokenKind::kData:
        return "text";
      case TokenKind::kBlockBegin:
        return "'{%'";
      case TokenKind::kBlockEnd:
        return "'%}'";
      case TokenKind::kVariableBegin:
        return "'{{'";
      case TokenKind::kVariableEnd:
        return "'}}'";
      case TokenKind::kEnd:
        return "the end of the template";
      default:
        return "'" + token.text.substr(0, 40) + "'";
    }
  }

  std::vector<Token> tokens_;
  size_t pos_ = 0;
};

}  // namespace mhub::text::jinja
