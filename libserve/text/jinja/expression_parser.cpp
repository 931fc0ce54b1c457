// SPDX-License-Identifier: Apache-2.0
#include "expression_parser.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace mhub::text::jinja {
namespace {
constexpr int kMaxNesting = 100;  // of brackets and the like in the source
constexpr int kMaxDepth = 400;    // of what is built: long chains of operators are deep too
constexpr size_t kMaxIntegerDigits = 38;
}  // namespace

class ExpressionParser::Nesting {
 public:
  explicit Nesting(ExpressionParser& parser) : parser_(parser) {
    if (++parser_.nesting_ > kMaxNesting) parser_.tokens_.error("expressions are nested too deeply");
  }
  ~Nesting() { --parser_.nesting_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  ExpressionParser& parser_;
};

ExpressionPtr ExpressionParser::make_at_depth(int line, int depth, decltype(Expression::node) node) {
  if (depth > kMaxDepth) tokens_.error("an expression is too long or nested too deeply");
  return std::make_unique<const Expression>(Expression{line, depth, std::move(node)});
}

template <typename Node>
ExpressionPtr ExpressionParser::make(int line, Node node, std::initializer_list<const Expression*> children) {
  int depth = 0;
  for (const Expression* child : children) depth = std::max(depth, child ? child->depth : 0);
  return make_at_depth(line, depth + 1, std::move(node));
}

int ExpressionParser::depth_of(const CallArguments& arguments) const {
  int depth = 0;
  const auto add = [&](const ExpressionPtr& e) { depth = std::max(depth, e ? e->depth : 0); };
  for (const auto& e : arguments.positional) add(e);
  for (const auto& [name, e] : arguments.named) add(e);
  add(arguments.star);
  add(arguments.double_star);
  return depth;
}

ExpressionPtr ExpressionParser::parse_expression(bool with_condition) {
  const Nesting nesting(*this);
  return with_condition ? parse_condition() : parse_or();
}

ExpressionPtr ExpressionParser::parse_condition() {
  int line = tokens_.line();
  ExpressionPtr value = parse_or();
  while (tokens_.skip_name("if")) {
    ExpressionPtr test = parse_or();
    ExpressionPtr otherwise;
    if (tokens_.skip_name("else")) {
      const Nesting nesting(*this);
      otherwise = parse_condition();
    }
    const auto *t = test.get(), *v = value.get(), *o = otherwise.get();
    value = make(line, expr::Conditional{std::move(test), std::move(value), std::move(otherwise)}, {t, v, o});
    line = tokens_.line();
  }
  return value;
}

ExpressionPtr ExpressionParser::parse_or() {
  const int line = tokens_.line();
  ExpressionPtr left = parse_and();
  while (tokens_.skip_name("or")) {
    ExpressionPtr right = parse_and();
    const auto *l = left.get(), *r = right.get();
    left = make(line, expr::Logic{false, std::move(left), std::move(right)}, {l, r});
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_and() {
  const int line = tokens_.line();
  ExpressionPtr left = parse_not();
  while (tokens_.skip_name("and")) {
    ExpressionPtr right = parse_not();
    const auto *l = left.get(), *r = right.get();
    left = make(line, expr::Logic{true, std::move(left), std::move(right)}, {l, r});
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_not() {
  if (!tokens_.is_name("not")) return parse_compare();
  const Nesting nesting(*this);
  const int line = tokens_.next().line;
  ExpressionPtr operand = parse_not();
  const auto* o = operand.get();
  return make(line, expr::Unary{'!', std::move(operand)}, {o});
}

ExpressionPtr ExpressionParser::parse_compare() {
  const int line = tokens_.line();
  ExpressionPtr first = parse_sum();
  std::vector<std::pair<std::string, ExpressionPtr>> rest;
  int depth = first->depth;
  while (true) {
    std::string op;
    for (const char* candidate : {"==", "!=", "<", "<=", ">", ">="}) {
      if (tokens_.is_operator(candidate)) op = candidate;
    }
    if (!op.empty()) {
      tokens_.next();
    } else if (tokens_.skip_name("in")) {
      op = "in";
    } else if (tokens_.is_name("not") && tokens_.ahead().kind == TokenKind::kName && tokens_.ahead().text == "in") {
      tokens_.next();
      tokens_.next();
      op = "not in";
    } else {
      break;
    }
    rest.emplace_back(std::move(op), parse_sum());
    depth = std::max(depth, rest.back().second->depth);
  }
  if (rest.empty()) return first;
  return make_at_depth(line, depth + 1, expr::Compare{std::move(first), std::move(rest)});
}

ExpressionPtr ExpressionParser::binary(int line, std::string op, ExpressionPtr left, ExpressionPtr right) {
  const auto *l = left.get(), *r = right.get();
  return make(line, expr::Binary{std::move(op), std::move(left), std::move(right)}, {l, r});
}

ExpressionPtr ExpressionParser::parse_sum() {
  const int line = tokens_.line();
  ExpressionPtr left = parse_concat();
  while (tokens_.is_operator("+") || tokens_.is_operator("-")) {
    std::string op = tokens_.next().text;
    left = binary(line, std::move(op), std::move(left), parse_concat());
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_concat() {
  const int line = tokens_.line();
  ExpressionPtr first = parse_product();
  if (!tokens_.is_operator("~")) return first;
  int depth = first->depth;
  std::vector<ExpressionPtr> parts;
  parts.push_back(std::move(first));
  while (tokens_.skip_operator("~")) {
    parts.push_back(parse_product());
    depth = std::max(depth, parts.back()->depth);
  }
  return make_at_depth(line, depth + 1, expr::Concat{std::move(parts)});
}

ExpressionPtr ExpressionParser::parse_product() {
  const int line = tokens_.line();
  ExpressionPtr left = parse_power();
  while (tokens_.is_operator("*") || tokens_.is_operator("/") || tokens_.is_operator("//") ||
         tokens_.is_operator("%")) {
    std::string op = tokens_.next().text;
    left = binary(line, std::move(op), std::move(left), parse_power());
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_power() {
  const int line = tokens_.line();
  ExpressionPtr left = parse_unary();
  while (tokens_.skip_operator("**")) left = binary(line, "**", std::move(left), parse_unary());
  return left;
}

ExpressionPtr ExpressionParser::parse_unary(bool with_filter) {
  const int line = tokens_.line();
  ExpressionPtr value;
  if (tokens_.is_operator("-") || tokens_.is_operator("+")) {
    const Nesting nesting(*this);
    const char op = tokens_.next().text[0];
    ExpressionPtr operand = parse_unary(false);
    const auto* o = operand.get();
    value = make(line, expr::Unary{op, std::move(operand)}, {o});
  } else {
    value = parse_primary();
  }
  value = parse_postfix(std::move(value));
  return with_filter ? parse_filters_and_tests(std::move(value)) : std::move(value);
}

ExpressionPtr ExpressionParser::parse_primary() {
  switch (tokens_.current().kind) {
    case TokenKind::kName:
      return parse_name();
    case TokenKind::kString:
      return parse_strings();
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return parse_number();
    default:
      break;
  }
  if (tokens_.is_operator("(")) return parse_parentheses();
  if (tokens_.is_operator("[")) return parse_list();
  if (tokens_.is_operator("{")) return parse_dict();
  tokens_.unexpected("an expression");
}

ExpressionPtr ExpressionParser::parse_name() {
  const Token& token = tokens_.next();
  const std::string& name = token.text;
  if (name == "true" || name == "True") return make(token.line, expr::Constant{true}, {});
  if (name == "false" || name == "False") return make(token.line, expr::Constant{false}, {});
  if (name == "none" || name == "None") return make(token.line, expr::Constant{Value()}, {});
  return make(token.line, expr::Name{name}, {});
}

ExpressionPtr ExpressionParser::parse_strings() {
  const int line = tokens_.line();
  std::string text;
  while (tokens_.is(TokenKind::kString)) text += tokens_.next().text;
  return make(line, expr::Constant{Value::text(std::move(text))}, {});
}

ExpressionPtr ExpressionParser::parse_number() {
  const Token& token = tokens_.next();
  if (token.kind == TokenKind::kFloat) {
    double value = 0;
    std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
    return make(token.line, expr::Constant{value}, {});
  }
  std::string_view digits = token.text;
  int base = 10;
  if (digits.size() > 1 && digits[0] == '0') {
    const char prefix = static_cast<char>(digits[1] | 32);
    base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
    if (base != 10) digits.remove_prefix(2);
  }
  if (digits.empty() || digits.size() > (base == 10 ? kMaxIntegerDigits : 30))
    tokens_.error("an integer is malformed or too large");
  Int value = 0;
  for (const char c : digits) value = value * base + (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
  return make(token.line, expr::Constant{value}, {});
}

bool ExpressionParser::at_tuple_end() const {
  return tokens_.is(TokenKind::kVariableEnd) || tokens_.is(TokenKind::kBlockEnd) || tokens_.is_operator(")") ||
         tokens_.is_name("recursive") || tokens_.is_name("in");
}

ExpressionPtr ExpressionParser::parse_tuple(bool with_condition) {
  const int line = tokens_.line();
  ExpressionPtr first = parse_expression(with_condition);
  if (!tokens_.is_operator(",")) return first;
  int depth = first->depth;
  std::vector<ExpressionPtr> items;
  items.push_back(std::move(first));
  while (tokens_.skip_operator(",")) {
    if (at_tuple_end()) break;
    items.push_back(parse_expression(with_condition));
    depth = std::max(depth, items.back()->depth);
  }
  return make_at_depth(line, depth + 1, expr::Sequence{std::move(items), true});
}

ExpressionPtr ExpressionParser::parse_parentheses() {
  const int line = tokens_.next().line;
  if (tokens_.skip_operator(")")) return make(line, expr::Sequence{{}, true}, {});
  ExpressionPtr inner = parse_tuple();
  tokens_.expect_operator(")");
  return inner;
}

ExpressionPtr ExpressionParser::parse_list() {
  const int line = tokens_.next().line;
  std::vector<ExpressionPtr> items;
  int depth = 0;
  while (!tokens_.is_operator("]")) {
    if (!items.empty()) {
      tokens_.expect_operator(",");
      if (tokens_.is_operator("]")) break;
    }
    items.push_back(parse_expression());
    depth = std::max(depth, items.back()->depth);
  }
  tokens_.expect_operator("]");
  return make_at_depth(line, depth + 1, expr::Sequence{std::move(items), false});
}

ExpressionPtr ExpressionParser::parse_dict() {
  const int line = tokens_.next().line;
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> items;
  int depth = 0;
  while (!tokens_.is_operator("}")) {
    if (!items.empty()) {
      tokens_.expect_operator(",");
      if (tokens_.is_operator("}")) break;
    }
    ExpressionPtr key = parse_expression();
    tokens_.expect_operator(":");
    ExpressionPtr value = parse_expression();
    depth = std::max({depth, key->depth, value->depth});
    items.emplace_back(std::move(key), std::move(value));
  }
  tokens_.expect_operator("}");
  return make_at_depth(line, depth + 1, expr::Mapping{std::move(items)});
}

ExpressionPtr ExpressionParser::parse_postfix(ExpressionPtr operand) {
  while (true) {
    if (tokens_.is_operator(".") || tokens_.is_operator("[")) {
      operand = parse_subscript(std::move(operand));
    } else if (tokens_.is_operator("(")) {
      operand = parse_call(std::move(operand));
    } else {
      return operand;
    }
  }
}

ExpressionPtr ExpressionParser::parse_filters_and_tests(ExpressionPtr operand) {
  while (true) {
    if (tokens_.skip_operator("|")) {
      operand = parse_filter(std::move(operand));
    } else if (tokens_.skip_name("is")) {
      operand = parse_test(std::move(operand));
    } else if (tokens_.is_operator("(")) {
      operand = parse_call(std::move(operand));
    } else {
      return operand;
    }
  }
}

ExpressionPtr ExpressionParser::parse_subscript(ExpressionPtr operand) {
  const Token& token = tokens_.next();
  const int line = token.line;
  const auto* o = operand.get();
  if (token.text == ".") {
    if (tokens_.is(TokenKind::kInteger)) {
      ExpressionPtr index = parse_number();
      const auto* i = index.get();
      return make(line, expr::Subscript{std::move(operand), std::move(index)}, {o, i});
    }
    return make(line, expr::Attribute{std::move(operand), tokens_.expect_name()}, {o});
  }
  const Nesting nesting(*this);
  ExpressionPtr result = parse_subscript_index(std::move(operand), line);
  tokens_.expect_operator("]");
  return result;
}

ExpressionPtr ExpressionParser::parse_subscript_index(ExpressionPtr operand, int line) {
  const auto* o = operand.get();
  ExpressionPtr start, stop, step;
  if (!tokens_.is_operator(":")) {
    start = parse_tuple();
    if (!tokens_.is_operator(":")) {
      const auto* s = start.get();
      return make(line, expr::Subscript{std::move(operand), std::move(start)}, {o, s});
    }
  }
  tokens_.expect_operator(":");
  if (!tokens_.is_operator(":") && !tokens_.is_operator("]")) stop = parse_expression();
  if (tokens_.skip_operator(":") && !tokens_.is_operator("]")) step = parse_expression();
  const auto *a = start.get(), *b = stop.get(), *c = step.get();
  return make(line, expr::Slice{std::move(operand), std::move(start), std::move(stop), std::move(step)}, {o, a, b, c});
}

CallArguments ExpressionParser::parse_call_arguments() {
  tokens_.expect_operator("(");
  CallArguments arguments;
  bool first = true;
  while (!tokens_.is_operator(")")) {
    if (!first) {
      tokens_.expect_operator(",");
      if (tokens_.is_operator(")")) break;
    }
    first = false;
    if (tokens_.skip_operator("**")) {
      arguments.double_star = parse_expression();
    } else if (tokens_.skip_operator("*")) {
      arguments.star = parse_expression();
    } else if (tokens_.is(TokenKind::kName) && tokens_.ahead().kind == TokenKind::kOperator &&
               tokens_.ahead().text == "=") {
      std::string name = tokens_.next().text;
      tokens_.next();
      arguments.named.emplace_back(std::move(name), parse_expression());
    } else {
      if (!arguments.named.empty() || arguments.double_star) tokens_.error("a positional argument follows a named one");
      arguments.positional.push_back(parse_expression());
    }
  }
  tokens_.expect_operator(")");
  return arguments;
}

ExpressionPtr ExpressionParser::parse_call(ExpressionPtr callee) {
  const int line = tokens_.line();
  CallArguments arguments = parse_call_arguments();
  const int depth = std::max(callee->depth, depth_of(arguments)) + 1;
  return make_at_depth(line, depth, expr::Call{std::move(callee), std::move(arguments)});
}

std::string ExpressionParser::dotted_name() {
  std::string name = tokens_.expect_name();
  while (tokens_.skip_operator(".")) name += "." + tokens_.expect_name();
  return name;
}

ExpressionPtr ExpressionParser::parse_filter(ExpressionPtr operand) {
  const int line = tokens_.line();
  std::string name = dotted_name();
  CallArguments arguments;
  if (tokens_.is_operator("(")) arguments = parse_call_arguments();
  const int depth = std::max(operand ? operand->depth : 0, depth_of(arguments)) + 1;
  return make_at_depth(line, depth, expr::Filter{std::move(operand), std::move(name), std::move(arguments)});
}

ExpressionPtr ExpressionParser::parse_filter_chain() {
  ExpressionPtr filter = parse_filter(nullptr);
  while (tokens_.skip_operator("|")) filter = parse_filter(std::move(filter));
  return filter;
}

ExpressionPtr ExpressionParser::parse_test(ExpressionPtr operand) {
  const int line = tokens_.line();
  const bool negated = tokens_.skip_name("not");
  std::string name = dotted_name();
  CallArguments arguments;
  const TokenKind kind = tokens_.current().kind;
  if (tokens_.is_operator("(")) {
    arguments = parse_call_arguments();
  } else if (((kind == TokenKind::kName && !tokens_.is_any_name({"else", "or", "and", "if"})) ||
              kind == TokenKind::kString || kind == TokenKind::kInteger || kind == TokenKind::kFloat ||
              tokens_.is_operator("[") || tokens_.is_operator("{")) &&
             !tokens_.is_any_name({"in", "not", "recursive"})) {
    if (tokens_.is_name("is")) tokens_.error("tests cannot be chained with is");
    arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  const int depth = std::max(operand->depth, depth_of(arguments)) + 1;
  ExpressionPtr test =
      make_at_depth(line, depth, expr::Test{std::move(operand), std::move(name), std::move(arguments)});
  if (!negated) return test;
  const auto* t = test.get();
  return make(line, expr::Unary{'!', std::move(test)}, {t});
}

Target ExpressionParser::parse_target(bool with_attribute) {
  const Nesting nesting(*this);
  const auto parse_one = [&]() -> Target {
    if (tokens_.skip_operator("(")) {
      Target inner = parse_target(false);
      tokens_.expect_operator(")");
      return inner;
    }
    Target target;
    target.name = tokens_.expect_name();
    if (target.name == "true" || target.name == "false" || target.name == "none" || target.name == "True" ||
        target.name == "False" || target.name == "None") {
      tokens_.error("'" + target.name + "' cannot be assigned to");
    }
    if (with_attribute && tokens_.skip_operator(".")) target.attribute = tokens_.expect_name();
    return target;
  };
  Target first = parse_one();
  if (!tokens_.is_operator(",")) return first;
  Target tuple;
  tuple.items.push_back(std::move(first));
  while (tokens_.skip_operator(",")) {
    if (!tokens_.is(TokenKind::kName) && !tokens_.is_operator("(")) break;
    if (tokens_.is_name("in")) break;
    tuple.items.push_back(parse_one());
  }
  return tuple;
}

}  // namespace mhub::text::jinja
