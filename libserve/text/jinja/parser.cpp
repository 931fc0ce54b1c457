// SPDX-License-Identifier: Apache-2.0
#include "parser.h"

#include "expression_parser.h"

namespace mhub::text::jinja {
namespace {

constexpr int kMaxBlocks = 100;  // nested in each other

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(tokenize(source)), expressions_(tokens_) {}

  Body run() {
    Body body = parse_body({});
    if (!tokens_.is(TokenKind::kEnd)) tokens_.unexpected("the end of the template");
    return body;
  }

 private:
  using Names = std::initializer_list<std::string_view>;

  template <typename Node>
  static void add(Body& body, int line, Node node) {
    body.push_back(std::make_unique<const Statement>(Statement{line, std::move(node)}));
  }

  // Statements up to {% end %} where `end` is one of `ends`; that name is the current token afterwards.
  Body parse_body(Names ends) {
    Body body;
    while (!tokens_.is(TokenKind::kEnd)) {
      const int line = tokens_.line();
      if (tokens_.is(TokenKind::kData)) {
        add(body, line, stmt::Data{Text(tokens_.next().text)});
      } else if (tokens_.is(TokenKind::kVariableBegin)) {
        tokens_.next();
        add(body, line, stmt::Output{expressions_.parse_tuple()});
        tokens_.expect(TokenKind::kVariableEnd, "'}}'");
      } else {
        tokens_.expect(TokenKind::kBlockBegin, "a tag");
        if (tokens_.is_any_name(ends)) return body;
        parse_statement(body);
        tokens_.expect(TokenKind::kBlockEnd, "'%}'");
      }
    }
    if (ends.size() > 0) {
      std::string wanted;
      for (const auto end : ends) wanted += (wanted.empty() ? "'" : " or '") + std::string(end) + "'";
      tokens_.error("unexpected end of the template: a block of line " + std::to_string(block_lines_.back()) +
                    " is not closed by " + wanted);
    }
    return body;
  }

  // A body closed by `end`, whose name is taken.
  Body parse_block(std::string_view end) {
    tokens_.expect(TokenKind::kBlockEnd, "'%}'");
    Body body = parse_body({end});
    tokens_.next();
    return body;
  }

  void parse_statement(Body& body) {
    const int line = tokens_.line();
    if (block_lines_.size() >= static_cast<size_t>(kMaxBlocks)) tokens_.error("blocks are nested too deeply");
    block_lines_.push_back(line);
    const std::string name = tokens_.expect_name();
    if (name == "if") {
      add(body, line, parse_if());
    } else if (name == "for") {
      add(body, line, parse_for());
    } else if (name == "set") {
      parse_set(body, line);
    } else if (name == "macro") {
      add(body, line, stmt::Macro{parse_macro(line)});
    } else if (name == "call") {
      parse_call(body, line);
    } else if (name == "filter") {
      ExpressionPtr filter = expressions_.parse_filter_chain();
      add(body, line, stmt::FilterBlock{std::move(filter), parse_block("endfilter")});
    } else if (name == "with") {
      add(body, line, parse_with());
    } else if (name == "generation") {
      add(body, line, stmt::Scope{parse_block("endgeneration")});
    } else if (name == "break" || name == "continue") {
      if (loops_ == 0) tokens_.error("'" + name + "' outside of a loop");
      if (name == "break") {
        add(body, line, stmt::Break{});
      } else {
        add(body, line, stmt::Continue{});
      }
    } else {
      tokens_.error("unknown or unsupported tag '" + name.substr(0, 40) + "'");
    }
    block_lines_.pop_back();
  }

  stmt::If parse_if() {
    stmt::If node;
    while (true) {
      ExpressionPtr test = expressions_.parse_tuple(false);
      tokens_.expect(TokenKind::kBlockEnd, "'%}'");
      node.branches.emplace_back(std::move(test), parse_body({"elif", "else", "endif"}));
      const std::string end = tokens_.next().text;
      if (end == "elif") continue;
      if (end == "else") node.otherwise = parse_block("endif");
      return node;
    }
  }

  stmt::For parse_for() {
    stmt::For node;
    node.target = expressions_.parse_target(false);
    if (!tokens_.skip_name("in")) tokens_.unexpected("'in'");
    node.iterable = expressions_.parse_tuple(false);
    if (tokens_.skip_name("if")) node.filter = expressions_.parse_expression();
    node.recursive = tokens_.skip_name("recursive");
    tokens_.expect(TokenKind::kBlockEnd, "'%}'");
    ++loops_;
    node.body = parse_body({"endfor", "else"});
    --loops_;
    if (tokens_.next().text == "else") node.otherwise = parse_block("endfor");
    return node;
  }

  void parse_set(Body& body, int line) {
    Target target = expressions_.parse_target(true);
    if (tokens_.skip_operator("=")) {
      add(body, line, stmt::Set{std::move(target), expressions_.parse_tuple()});
      return;
    }
    ExpressionPtr filter;
    if (tokens_.skip_operator("|")) filter = expressions_.parse_filter_chain();
    add(body, line, stmt::SetBlock{std::move(target), std::move(filter), parse_block("endset")});
  }

  void parse_parameters(MacroDefinition& macro) {
    tokens_.expect_operator("(");
    while (!tokens_.is_operator(")")) {
      if (!macro.parameters.empty()) tokens_.expect_operator(",");
      macro.parameters.push_back(tokens_.expect_name());
      if (tokens_.skip_operator("=")) {
        macro.defaults.push_back(expressions_.parse_expression());
      } else if (!macro.defaults.empty()) {
        tokens_.error("a parameter without a default follows one with a default");
      }
    }
    tokens_.expect_operator(")");
  }

  // Loops outside a macro are not its own.
  Body parse_macro_body(std::string_view end) {
    const int outer_loops = std::exchange(loops_, 0);
    Body body = parse_block(end);
    loops_ = outer_loops;
    return body;
  }

  std::shared_ptr<const MacroDefinition> parse_macro(int line) {
    auto macro = std::make_shared<MacroDefinition>();
    macro->line = line;
    macro->name = tokens_.expect_name();
    parse_parameters(*macro);
    macro->body = parse_macro_body("endmacro");
    return macro;
  }

  void parse_call(Body& body, int line) {
    auto caller = std::make_shared<MacroDefinition>();
    caller->line = line;
    caller->name = "caller";
    if (tokens_.is_operator("(")) parse_parameters(*caller);
    ExpressionPtr call = expressions_.parse_expression();
    if (!std::holds_alternative<expr::Call>(call->node)) tokens_.unexpected("a call");
    caller->body = parse_macro_body("endcall");
    add(body, line, stmt::CallBlock{std::move(call), std::move(caller)});
  }

  stmt::With parse_with() {
    stmt::With node;
    while (!tokens_.is(TokenKind::kBlockEnd)) {
      if (!node.bindings.empty()) tokens_.expect_operator(",");
      Target target;
      target.name = tokens_.expect_name();
      tokens_.expect_operator("=");
      node.bindings.emplace_back(std::move(target), expressions_.parse_expression());
    }
    node.body = parse_block("endwith");
    return node;
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  std::vector<int> block_lines_;
  int loops_ = 0;
};

}  // namespace

Body parse_template(std::string_view source) {
  return Parser(source).run();
}

}  // namespace mhub::text::jinja
