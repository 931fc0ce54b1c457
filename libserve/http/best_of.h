// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "choice.h"

namespace mhub::http {

// Collects all samples of each prompt whole and passes on the n of them that are likeliest per token, best first.
class BestOf {
 public:
  BestOf(size_t num_prompts, const GenerationFields& fields);
  void collect(ChoiceDelta&& delta);
  // Each choice as one delta with its index in the answer (prompt * n + place).
  void pass_on(const std::function<void(ChoiceDelta&&)>& sink);

 private:
  struct Sample {
    ChoiceDelta whole;
    double sum_logprobs = 0;
    double mean_logprob() const;
  };
  size_t n_, samples_;
  bool shows_logprobs_;
  std::vector<Sample> all_;
};

}  // namespace mhub::http
