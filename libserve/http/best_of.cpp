// SPDX-License-Identifier: Apache-2.0
#include "best_of.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <numeric>

namespace mhub::http {

BestOf::BestOf(size_t num_prompts, const GenerationFields& fields)
    : n_(static_cast<size_t>(fields.n)),
      samples_(static_cast<size_t>(fields.best_of)),
      shows_logprobs_(fields.sampling.logprobs >= 0),
      all_(num_prompts * samples_) {}

double BestOf::Sample::mean_logprob() const {
  const size_t tokens = whole.token_ids.size();
  return tokens > 0 ? sum_logprobs / static_cast<double>(tokens) : -std::numeric_limits<double>::infinity();
}

void BestOf::collect(ChoiceDelta&& delta) {
  Sample& sample = all_[static_cast<size_t>(delta.index)];
  ChoiceDelta& whole = sample.whole;
  for (const auto& position : delta.logprobs) sample.sum_logprobs += static_cast<double>(position.chosen.logprob);
  if (shows_logprobs_) std::move(delta.logprobs.begin(), delta.logprobs.end(), std::back_inserter(whole.logprobs));
  if (delta.first) {
    whole.first = true;
    whole.prompt_logprobs = std::move(delta.prompt_logprobs);
  }
  whole.text += delta.text;
  whole.token_ids.insert(whole.token_ids.end(), delta.token_ids.begin(), delta.token_ids.end());
  whole.finish_reason = std::move(delta.finish_reason);
  whole.stop_reason = std::move(delta.stop_reason);
}

void BestOf::pass_on(const std::function<void(ChoiceDelta&&)>& sink) {
  std::vector<size_t> order(samples_);
  for (size_t prompt = 0; prompt < all_.size() / samples_; ++prompt) {
    std::iota(order.begin(), order.end(), prompt * samples_);
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return all_[a].mean_logprob() > all_[b].mean_logprob(); });
    for (size_t place = 0; place < n_; ++place) {
      ChoiceDelta chosen = std::move(all_[order[place]].whole);
      chosen.index = static_cast<int>(prompt * n_ + place);
      sink(std::move(chosen));
    }
  }
}

}  // namespace mhub::http
