// SPDX-License-Identifier: Apache-2.0
#include "ebnf_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "char_class.h"
#include "mhub/base/bytes.h"

namespace mhub::constraint {
namespace {

constexpr int kMaxDepth = 100;
constexpr size_t kMaxRules = 20'000;

bool starts_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool goes_on_in_name(char c) {
  return starts_name(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

class EbnfParser {
 public:
  EbnfParser(std::string_view text, Grammar& to) : whole_(text), text_(text), to_(to) {}

  Result<void> parse() {
    const auto parsed = rules();
    if (parsed) return finish();
    const auto before = whole_.substr(0, whole_.size() - text_.size());
    return refused(fmt::format("grammar: {} in line {}", parsed.error().message,
                               std::count(before.begin(), before.end(), '\n') + 1));
  }

 private:
  Result<void> rules() {
    for (skip(); !text_.empty(); skip()) {
      const std::string name(take_name());
      if (name.empty()) return refused("a rule starts with its name");
      skip();
      if (!text_.starts_with("::=")) return refused(fmt::format("::= is missing after {}", printable(name, 64)));
      text_.remove_prefix(3);
      MHUB_TRY(const RuleId rule, rule_of(name));
      if (to_.rules()[rule].body) return refused(fmt::format("the rule {} is there twice", printable(name, 64)));
      MHUB_TRY(const ExprId body, alternatives(0));
      to_.define(rule, body);
    }
    return {};
  }

  Result<void> finish() {
    const auto root = by_name_.find("root");
    if (root == by_name_.end() || !to_.rules()[root->second].body) return refused("grammar: there is no rule root");
    for (const auto& rule : to_.rules()) {
      if (!rule.body) return refused(fmt::format("grammar: the rule {} is not defined", printable(rule.name, 64)));
    }
    to_.set_root(root->second);
    return {};
  }

  void skip() {
    for (;;) {
      const size_t next = std::min(text_.find_first_not_of(" \t\r\n"), text_.size());
      text_.remove_prefix(next);
      if (!text_.starts_with('#')) return;
      text_.remove_prefix(std::min(text_.find('\n'), text_.size()));
    }
  }

  std::string_view take_name() {
    size_t length = 0;
    if (!text_.empty() && starts_name(text_.front())) {
      while (length < text_.size() && goes_on_in_name(text_[length])) ++length;
    }
    const auto name = text_.substr(0, length);
    text_.remove_prefix(length);
    return name;
  }

  Result<RuleId> rule_of(const std::string& name) {
    const auto known = by_name_.find(name);
    if (known != by_name_.end()) return known->second;
    if (by_name_.size() >= kMaxRules) return refused(fmt::format("there are more than {} rules", kMaxRules));
    return by_name_.emplace(name, to_.add_rule(name)).first->second;
  }

  // Whether the text goes on with the next rule rather than with a reference.
  bool at_rule() {
    const std::string_view at = text_;
    const bool named = !take_name().empty();
    skip();
    const bool found = named && text_.starts_with("::=");
    text_ = at;
    return found;
  }

  Result<ExprId> alternatives(int depth) {
    if (depth > kMaxDepth) return refused(fmt::format("groups are nested deeper than {}", kMaxDepth));
    std::vector<ExprId> out;
    for (;;) {
      MHUB_TRY(const ExprId one, alternative(depth));
      out.push_back(one);
      if (!text_.starts_with('|')) break;
      text_.remove_prefix(1);
    }
    return to_.choice(std::move(out));
  }

  Result<ExprId> alternative(int depth) {
    std::vector<ExprId> parts;
    for (skip(); !text_.empty() && text_.front() != '|' && text_.front() != ')' && !at_rule(); skip()) {
      MHUB_TRY(ExprId item, take_item(depth));
      MHUB_CHECK_OK(quantify(item));
      parts.push_back(item);
    }
    return to_.sequence(std::move(parts));
  }

  Result<ExprId> take_item(int depth) {
    const char c = text_.front();
    if (starts_name(c)) {
      MHUB_TRY(const RuleId rule, rule_of(std::string(take_name())));
      return to_.call(rule);
    }
    text_.remove_prefix(1);
    switch (c) {
      case '"':
      case '\'':
        return literal(c);
      case '[': {
        MHUB_TRY(CodePointSet set, take_class(text_));
        return to_.chars(std::move(set));
      }
      case '.':
        return to_.chars(any_but_newline());
      case '(': {
        if (text_.starts_with("?=") || text_.starts_with("?!")) return refused("look-ahead is not supported");
        MHUB_TRY(const ExprId inner, alternatives(depth + 1));
        if (!text_.starts_with(')')) return refused("a group is not closed");
        text_.remove_prefix(1);
        return inner;
      }
      default:
        return refused(fmt::format("\"{}\" is not expected", printable(std::string(1, c))));
    }
  }

  Result<ExprId> literal(char quote) {
    std::string bytes;
    while (!text_.starts_with(quote)) {
      if (text_.empty() || text_.front() == '\n') return refused("a literal is not closed");
      const bool escaped = text_.front() == '\\';
      if (escaped) text_.remove_prefix(1);
      if (escaped) {
        MHUB_TRY(const char32_t c, take_escaped(text_));
        append_utf8(c, bytes);
        continue;
      }
      const char32_t c = take_code_point(text_);
      if (c == kInvalid) return refused("the text is not UTF-8");
      append_utf8(c, bytes);
    }
    text_.remove_prefix(1);
    return to_.bytes(bytes);
  }

  Result<void> quantify(ExprId& item) {
    if (text_.empty()) return {};
    const char c = text_.front();
    if (c == '*' || c == '+' || c == '?') {
      text_.remove_prefix(1);
      item = to_.repeat(item, c == '+' ? 1 : 0, c == '?' ? 1 : Grammar::kNoMax);
    } else if (c == '{') {
      text_.remove_prefix(1);
      skip();
      const auto min = take_number(text_);
      skip();
      const bool comma = text_.starts_with(',');
      if (comma) text_.remove_prefix(1);
      skip();
      const auto max = comma ? take_number(text_) : min;
      skip();
      if (!min || !text_.starts_with('}')) return refused("a quantifier is {n}, {n,} or {n,m}");
      text_.remove_prefix(1);
      if (max.value_or(Grammar::kNoMax) < *min) return refused("a quantifier runs backwards");
      item = to_.repeat(item, *min, max.value_or(Grammar::kNoMax));
    }
    return {};
  }

  const std::string_view whole_;
  std::string_view text_;
  Grammar& to_;
  std::map<std::string, RuleId> by_name_;
};

}  // namespace

Result<void> parse_ebnf(std::string_view text, Grammar& to) {
  return EbnfParser(text, to).parse();
}

}  // namespace mhub::constraint
