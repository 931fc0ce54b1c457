// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "automaton.h"
#include "ebnf_parser.h"
#include "json_text.h"
#include "mhub/constraint/matcher.h"
#include "regex_parser.h"
#include "schema_compiler.h"

namespace mhub::constraint {
namespace {

constexpr size_t kMaxSpecBytes = 256u << 10;
constexpr size_t kMaxChoices = 10'000;

Result<void> as_root(ExprId body, Grammar& to) {
  const RuleId root = to.add_rule("root");
  to.define(root, body);
  to.set_root(root);
  return {};
}

Result<void> parse_choice(const std::string& text, Grammar& to) {
  MHUB_TRY(const Json list, parse_json(text));
  if (!list.is_array() || list.empty() || list.size() > kMaxChoices) {
    return refused(fmt::format("choice is no list of 1 to {} texts", kMaxChoices));
  }
  std::vector<ExprId> choices;
  for (const Json& one : list) {
    if (!one.is_string() || one.get_ref<const std::string&>().empty()) {
      return refused("choice holds something that is no text, or an empty one");
    }
    choices.push_back(to.bytes(one.get_ref<const std::string&>()));
  }
  return as_root(to.choice(std::move(choices)), to);
}

Result<void> make_grammar(const Spec& spec, Grammar& to) {
  if (spec.text.size() > kMaxSpecBytes || spec.whitespace_pattern.size() > kMaxSpecBytes) {
    return refused(fmt::format("the required form has more than {} bytes", kMaxSpecBytes));
  }
  switch (spec.kind) {
    case Spec::Kind::kNone:
      break;
    case Spec::Kind::kJsonSchema:
      return compile_schema(spec, to);
    case Spec::Kind::kRegex: {
      MHUB_TRY(const ExprId body, parse_regex(spec.text, {}, to));
      return as_root(body, to);
    }
    case Spec::Kind::kGrammar:
      return parse_ebnf(spec.text, to);
    case Spec::Kind::kChoice:
      return parse_choice(spec.text, to);
  }
  return refused("the kind of the required form is unknown");
}

}  // namespace

Result<std::shared_ptr<const Constraint>> Constraint::compile(const Spec& spec) {
  Grammar grammar;
  MHUB_CHECK_OK(make_grammar(spec, grammar));
  MHUB_TRY(auto automaton, Automaton::build(grammar));
  return std::shared_ptr<const Constraint>(new Constraint(std::make_unique<const Automaton>(std::move(automaton))));
}

}  // namespace mhub::constraint
