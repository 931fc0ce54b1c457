// SPDX-License-Identifier: Apache-2.0
#include "mhub/constraint/matcher.h"

#include <algorithm>

#include "automaton.h"
#include "mhub/base/check.h"
#include "token_masks.h"

namespace mhub::constraint {

struct Matcher::Shared {
  Shared(std::shared_ptr<const Constraint> the_constraint, std::shared_ptr<const Vocabulary> the_vocabulary)
      : constraint(std::move(the_constraint)),
        vocabulary(std::move(the_vocabulary)),
        masks(constraint->automaton(), *vocabulary) {}
  const std::shared_ptr<const Constraint> constraint;
  const std::shared_ptr<const Vocabulary> vocabulary;
  TokenMasks masks;
  std::list<StateId> live;  // of the matchers
};

Constraint::Constraint(std::unique_ptr<const Automaton> automaton) : automaton_(std::move(automaton)) {}
Constraint::~Constraint() = default;

Matcher::Matcher(std::shared_ptr<Shared> shared)
    : shared_(std::move(shared)), state_(shared_->live.insert(shared_->live.end(), shared_->masks.states().start())) {}

Matcher::~Matcher() {
  if (shared_) shared_->live.erase(state_);
}

void Matcher::follow(std::span<const int32_t> output) {
  MHUB_CHECK(consumed_ <= output.size());
  while (consumed_ < output.size()) push(output[consumed_]);
}

void Matcher::push(int32_t token) {
  const std::string_view text = shared_->vocabulary->text(token, consumed_ == 0);
  *state_ = text.empty() ? StateTable::kDead : shared_->masks.after(*state_, text);
  ++consumed_;
}

std::span<const uint32_t> Matcher::allowed() {
  return consumed_ == 0 ? shared_->masks.first_mask() : shared_->masks.mask(*state_);
}

bool Matcher::may_end() const {
  return shared_->masks.states().accepts(*state_);
}

bool Matcher::must_end() const {
  return may_end() && !shared_->masks.states().goes_on(*state_);
}

Matcher MatcherPool::start(std::shared_ptr<const Constraint> constraint) {
  const auto known = std::find_if(recent_.begin(), recent_.end(),
                                  [&](const auto& shared) { return shared->constraint == constraint; });
  if (known != recent_.end()) {
    recent_.splice(recent_.begin(), recent_, known);
  } else {
    recent_.push_front(std::make_shared<Matcher::Shared>(std::move(constraint), vocabulary_));
    all_.push_back(recent_.front());
    if (recent_.size() > kKept) recent_.pop_back();
  }
  return Matcher(recent_.front());
}

void MatcherPool::trim() {
  std::erase_if(all_, [](const auto& shared) { return shared.expired(); });
  for (const auto& weak : all_) {
    if (const auto shared = weak.lock()) shared->masks.trim(shared->live);
  }
}

}  // namespace mhub::constraint
