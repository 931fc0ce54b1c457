// SPDX-License-Identifier: Apache-2.0
#include "json_text.h"

#include <fmt/format.h>

#include <map>

#include "number_range.h"
#include "regex_parser.h"

namespace mhub::constraint {
namespace {

constexpr uint32_t kMaxIndent = 64;

CodePointSet unescaped() {
  return CodePointSet{{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}.complement();
}

}  // namespace

Result<void> JsonText::set_whitespace(const Spec& spec) {
  space_ = to_.add_rule("whitespace");
  comma_ = to_.add_rule("comma");
  colon_ = to_.add_rule("colon");
  if (!spec.any_whitespace) {
    to_.define(space_, to_.empty());
    to_.define(comma_, to_.bytes(", "));
    to_.define(colon_, to_.bytes(": "));
    return {};
  }
  if (spec.whitespace_pattern.empty()) {
    // Some models would write spaces without end: one, or a line's end with its indentation, is what people write.
    const ExprId indent = to_.repeat(to_.chars({{' ', ' '}, {'\t', '\t'}}), 0, kMaxIndent);
    to_.define(space_, to_.choice({to_.empty(), to_.bytes(" "), to_.sequence({to_.bytes("\n"), indent})}));
  } else {
    MHUB_TRY(const ExprId space, parse_regex(spec.whitespace_pattern, {}, to_));
    to_.define(space_, space);
  }
  to_.define(comma_, to_.sequence({space(), to_.bytes(","), space()}));
  to_.define(colon_, to_.sequence({space(), to_.bytes(":"), space()}));
  return {};
}

ExprId JsonText::enclosed(std::string_view open, ExprId between, std::string_view close) {
  return to_.sequence({to_.bytes(open), space(), between, space(), to_.bytes(close)});
}

ExprId JsonText::string_char() {
  const ExprId hex = to_.chars({{'0', '9'}, {'A', 'F'}, {'a', 'f'}});
  // No surrogates: what needs two of them stands there as it is.
  const ExprId no_d =
      to_.sequence({to_.chars({{'0', '9'}, {'A', 'C'}, {'E', 'F'}, {'a', 'c'}, {'e', 'f'}}), hex, hex, hex});
  const ExprId d = to_.sequence({to_.chars({{'D', 'D'}, {'d', 'd'}}), to_.chars({{'0', '7'}}), hex, hex});
  const ExprId letters =
      to_.chars({{'"', '"'}, {'\\', '\\'}, {'/', '/'}, {'b', 'b'}, {'f', 'f'}, {'n', 'n'}, {'r', 'r'}, {'t', 't'}});
  return to_.choice({to_.chars(unescaped()), to_.sequence({to_.bytes("\\"), letters}),
                     to_.sequence({to_.bytes("\\u"), to_.choice({no_d, d})})});
}

ExprId JsonText::string(uint32_t min, uint32_t max) {
  // Strings without bounds are one rule: what tokens do inside it is found out once.
  if (min > 0 || max != Grammar::kNoMax) return quoted(to_.repeat(string_char(), min, max));
  if (!char_) {
    char_ = to_.add_rule("string");
    to_.define(*char_, to_.sequence({to_.repeat(string_char(), 0, Grammar::kNoMax), to_.bytes("\"")}));
  }
  return to_.sequence({to_.bytes("\""), to_.call(*char_)});
}

ExprId JsonText::spell(Grammar& to, const CodePointSet& set) {
  static constexpr std::pair<char32_t, const char*> kShort[] = {
      {'"', "\\\""}, {'\\', "\\\\"}, {'\b', "\\b"}, {'\f', "\\f"}, {'\n', "\\n"}, {'\r', "\\r"}, {'\t', "\\t"}};
  std::vector<ExprId> out;
  CodePointSet plain = set.intersection(unescaped());
  if (!plain.empty()) out.push_back(to.chars(std::move(plain)));
  CodePointSet long_escapes = set.intersection({{0, 0x1F}});
  for (const auto& [c, spelled] : kShort) {
    if (set.contains(c)) out.push_back(to.bytes(spelled));
    long_escapes = long_escapes.intersection(CodePointSet{{c, c}}.complement());
  }
  for (const auto& range : long_escapes.ranges()) {
    for (char32_t c = range.first; c <= range.last; ++c) {
      out.push_back(to.bytes(fmt::format("\\u{:04x}", static_cast<uint32_t>(c))));
    }
  }
  return to.choice(std::move(out));
}

ExprId JsonText::string_other_than(const std::vector<std::string>& names) {
  // A tree of the names; at each node the characters that leave it, and the end of the string where no name ends.
  struct Node {
    std::map<char32_t, size_t> next;
    bool is_name = false;
  };
  std::vector<Node> nodes(1);
  for (const std::string& name : names) {
    size_t at = 0;
    for (std::string_view rest = name; !rest.empty();) {
      const char32_t c = take_code_point(rest);
      if (c == kInvalid) break;
      const auto [known, is_new] = nodes[at].next.emplace(c, nodes.size());
      at = known->second;
      if (is_new) nodes.emplace_back();
    }
    nodes[at].is_name = true;
  }
  const ExprId tail = to_.sequence({to_.repeat(to_.chars(unescaped()), 0, Grammar::kNoMax), to_.bytes("\"")});
  const RuleId free_tail = to_.add_rule("other key");
  to_.define(free_tail, tail);
  std::vector<RuleId> rules;
  for (size_t i = 0; i < nodes.size(); ++i) rules.push_back(to_.add_rule("key"));
  for (size_t i = 0; i < nodes.size(); ++i) {
    std::vector<ExprId> ways;
    CodePointSet others = unescaped();
    for (const auto& [c, to] : nodes[i].next) {
      others = others.intersection(CodePointSet{{c, c}}.complement());
      if (unescaped().contains(c)) ways.push_back(to_.sequence({to_.chars({{c, c}}), to_.call(rules[to])}));
    }
    ways.push_back(to_.sequence({to_.chars(std::move(others)), to_.call(free_tail)}));
    if (!nodes[i].is_name) ways.push_back(to_.bytes("\""));
    to_.define(rules[i], to_.choice(std::move(ways)));
  }
  return to_.sequence({to_.bytes("\""), to_.call(rules.front())});
}

ExprId JsonText::literal(const OrderedJson& value) {
  if (!value.is_structured()) return to_.bytes(dump_json(value));
  std::vector<ExprId> parts;
  const bool is_object = value.is_object();
  for (const auto& item : value.items()) {
    if (!parts.empty()) parts.push_back(comma());
    if (is_object) {
      parts.push_back(to_.bytes(dump_json(OrderedJson(item.key()))));
      parts.push_back(colon());
    }
    parts.push_back(literal(item.value()));
  }
  const ExprId between = to_.sequence(std::move(parts));
  return is_object ? braces(between) : brackets(between);
}

ExprId JsonText::list(ExprId item, uint32_t min, uint32_t max) {
  if (max == 0) return to_.empty();
  const ExprId more =
      to_.repeat(to_.sequence({comma(), item}), min > 0 ? min - 1 : 0, max == Grammar::kNoMax ? max : max - 1);
  const ExprId all = to_.sequence({item, more});
  return min == 0 ? to_.optional(all) : all;
}

ExprId JsonText::any_object() {
  const ExprId pair = to_.sequence({string(0, Grammar::kNoMax), colon(), any()});
  return braces(list(pair, 0, Grammar::kNoMax));
}

RuleId JsonText::any_rule() {
  if (any_) return *any_;
  any_ = to_.add_rule("value");
  const RuleId object = to_.add_rule("object"), array = to_.add_rule("array");
  const auto number = number_in(std::nullopt, std::nullopt, false, to_);
  to_.define(object, any_object());
  to_.define(array, brackets(list(any(), 0, Grammar::kNoMax)));
  to_.define(*any_, to_.choice({to_.call(object), to_.call(array), string(0, Grammar::kNoMax), *number,
                                to_.bytes("true"), to_.bytes("false"), to_.bytes("null")}));
  return *any_;
}

}  // namespace mhub::constraint
