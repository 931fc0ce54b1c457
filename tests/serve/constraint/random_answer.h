// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "mhub/constraint/matcher.h"
#include "state_table.h"

namespace mhub::constraint::test {

// All bytes, and pieces of text as a tokenizer would have them; the last token is no text.
inline TokenTexts token_texts() {
  TokenTexts texts;
  for (int byte = 0; byte < 256; ++byte) texts.add(std::string(1, static_cast<char>(byte)));
  for (const char* piece :
       {"{\"",  "\":",  "\",",   "\"}",  "},",    "{}",   "[]",  "\": \"", ", \"", "ab",   "abc", "a\"", "the",
        " the", "name", "nam",   "  ",   "\n",    "\n  ", "12",  "123",    "00",   "0.",   ".5",  "-1",  "e1",
        "true", "tru",  "false", "null", "\\n",   "\\\"", "\\u", "ä",      "日",   "日本", "😀",   "]]",  "}}",
        "((",   "))",   "+",     "1+",   "2023-", "-02-", "T1",  ":00",    "foo",  "bar",  "fo",  "q",   "}\n"}) {
    texts.add(piece);
  }
  texts.add("");
  return texts;
}
inline int32_t end_token() {
  static const auto last = static_cast<int32_t>(token_texts().size() - 1);
  return last;
}
inline std::shared_ptr<const Vocabulary> vocabulary() {
  return std::make_shared<const Vocabulary>(token_texts(), TokenTexts());
}

inline std::shared_ptr<const Constraint> compiled(const Spec& spec) {
  auto constraint = Constraint::compile(spec);
  if (!constraint) throw std::runtime_error(constraint.error().message);
  return *constraint;
}
inline std::string refusal(const Spec& spec) {
  const auto constraint = Constraint::compile(spec);
  return constraint ? "" : constraint.error().message;
}
inline Spec regex(std::string text) {
  return {Spec::Kind::kRegex, std::move(text), true, false, ""};
}
inline Spec schema(std::string text) {
  return {Spec::Kind::kJsonSchema, std::move(text), true, false, ""};
}
inline Spec ebnf(std::string text) {
  return {Spec::Kind::kGrammar, std::move(text), true, false, ""};
}

// Whether the whole text has the form.
inline bool accepts(const Constraint& constraint, std::string_view text) {
  StateTable states(constraint.automaton());
  StateId state = states.start();
  for (const char c : text) state = states.step(state, static_cast<uint8_t>(c));
  return states.accepts(state);
}

// Bytes that complete `text`: a search that leaves rules first and is short second.
inline std::string end_of(const Constraint& constraint, std::string_view text) {
  StateTable states(constraint.automaton());
  StateId state = states.start();
  for (const char c : text) state = states.step(state, static_cast<uint8_t>(c));
  struct Visit {
    size_t cost;
    StateId state;
    std::string bytes;
    bool operator<(const Visit& other) const { return cost > other.cost; }
  };
  std::priority_queue<Visit> queue;
  std::set<StateId> seen = {state};
  queue.push({0, state, ""});
  while (!queue.empty() && seen.size() < 200'000) {
    const Visit at = queue.top();
    queue.pop();
    if (states.accepts(at.state)) return at.bytes;
    for (int byte = 0; byte < 256; ++byte) {
      const StateId next = states.step(at.state, static_cast<uint8_t>(byte));
      if (next == StateTable::kDead || !seen.insert(next).second) continue;
      queue.push({at.bytes.size() + 8 * states.depth(next), next, at.bytes + static_cast<char>(byte)});
    }
  }
  ADD_FAILURE() << "nothing completes " << text;
  return "";
}

// Draws up to `tokens` tokens under the mask, then completes the text. Checks on the way that the
// mask says of each token what its bytes say.
inline std::string random_answer(const std::shared_ptr<const Constraint>& constraint, MatcherPool& pool,
                                 std::mt19937& random, int tokens) {
  static const TokenTexts texts = token_texts();
  Matcher matcher = pool.start(constraint);
  StateTable states(constraint->automaton());
  StateId state = states.start();
  std::vector<int32_t> output;
  std::string text;
  for (int i = 0; i < tokens; ++i) {
    pool.trim();
    matcher.follow(output);
    EXPECT_EQ(matcher.may_end(), states.accepts(state));
    EXPECT_EQ(matcher.must_end(), states.accepts(state) && !states.goes_on(state));
    if (matcher.must_end() || (matcher.may_end() && random() % 4 == 0)) return text;
    const auto mask = matcher.allowed();
    std::vector<int32_t> allowed;
    for (int32_t token = 0; token < static_cast<int32_t>(texts.size()); ++token) {
      const bool in_mask = (mask[static_cast<size_t>(token) / 32] >> (token % 32) & 1u) != 0;
      if (in_mask) allowed.push_back(token);
      StateId after = texts[static_cast<size_t>(token)].empty() ? StateTable::kDead : state;
      for (const char c : texts[static_cast<size_t>(token)]) after = states.step(after, static_cast<uint8_t>(c));
      EXPECT_EQ(in_mask, after != StateTable::kDead) << text << " + " << texts[static_cast<size_t>(token)];
    }
    if (allowed.empty()) {
      ADD_FAILURE() << "no token may follow " << text;
      return text;
    }
    const int32_t chosen = allowed[random() % allowed.size()];
    output.push_back(chosen);
    const std::string_view piece = texts[static_cast<size_t>(chosen)];
    for (const char c : piece) state = states.step(state, static_cast<uint8_t>(c));
    text += piece;
  }
  return text + end_of(*constraint, text);
}

}  // namespace mhub::constraint::test
