// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/constraint/spec.h"
#include "mhub/constraint/vocabulary.h"

namespace mhub::constraint {

// A compiled Spec. Immutable.
class Constraint {
 public:
  // Bounded in time and memory, whatever the text. Errors (kInvalidRequest): malformed, not supported (by name), too
  // large.
  static Result<std::shared_ptr<const Constraint>> compile(const Spec& spec);
  ~Constraint();
  const class Automaton& automaton() const { return *automaton_; }

 private:
  explicit Constraint(std::unique_ptr<const Automaton> automaton);
  const std::unique_ptr<const Automaton> automaton_;
};

// Follows one answer and says what may come next. What it finds out is shared by the matchers of one MatcherPool and
// constraint, whose thread it stays on.
class Matcher {
 public:
  Matcher(Matcher&& other) noexcept = default;
  Matcher& operator=(Matcher&& other) = delete;
  ~Matcher();
  // Goes on to the state behind `output`, which begins with what was followed before.
  void follow(std::span<const int32_t> output);
  // One token more.
  void push(int32_t token);
  // A bit per token that may follow. Valid until the next call of any matcher of the pool.
  std::span<const uint32_t> allowed();
  bool may_end() const;   // the answer is complete as it stands
  bool must_end() const;  // ... and nothing may follow

 private:
  friend class MatcherPool;
  struct Shared;
  explicit Matcher(std::shared_ptr<Shared> shared);

  std::shared_ptr<Shared> shared_;
  std::list<uint32_t>::iterator state_;  // in shared_, which carries it over when states are thrown away
  size_t consumed_ = 0;
};

// Makes matchers, and keeps what the last constraints have found out. Of one thread.
class MatcherPool {
 public:
  explicit MatcherPool(std::shared_ptr<const Vocabulary> vocabulary) : vocabulary_(std::move(vocabulary)) {}
  Matcher start(std::shared_ptr<const Constraint> constraint);
  // Keeps what is remembered within bounds; between two steps, when nobody reads a mask.
  void trim();

 private:
  static constexpr size_t kKept = 8;
  std::shared_ptr<const Vocabulary> vocabulary_;
  std::list<std::shared_ptr<Matcher::Shared>> recent_;  // the last used in front
  std::vector<std::weak_ptr<Matcher::Shared>> all_;
};

}  // namespace mhub::constraint
