// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "mhub/base/json.h"
#include "serve/model/loaded.h"

namespace mhub::model {

inline double log_sum_exp(std::span<const float> row) {
  const double top = static_cast<double>(*std::max_element(row.begin(), row.end()));
  double sum = 0;
  for (const float x : row) sum += std::exp(static_cast<double>(x) - top);
  return top + std::log(sum);
}

// Over windows of a text: how well it is predicted, and how far that is from a reference's predictions.
struct TextMeasure {
  double nll = 0, reference_nll = 0;
  size_t scored = 0;
  double divergence = 0, worst = 0;
  size_t compared = 0, same_top = 0;

  double perplexity() const { return std::exp(nll / static_cast<double>(scored)); }
  double reference_perplexity() const { return std::exp(reference_nll / static_cast<double>(scored)); }
  double mean_divergence() const { return divergence / static_cast<double>(compared); }

  // KL divergence over the stored tokens and all others as one. `stored`: [[id, logprob], ...], likeliest first.
  void compare(std::span<const float> logits, double total, const Json& stored) {
    double kl = 0, p_rest = 1, q_rest = 1;
    for (const auto& pair : stored) {
      const double log_p = pair[1].get<double>();
      const double log_q = static_cast<double>(logits[pair[0].get<size_t>()]) - total;
      kl += std::exp(log_p) * (log_p - log_q);
      p_rest -= std::exp(log_p);
      q_rest -= std::exp(log_q);
    }
    if (p_rest > 0 && q_rest > 0) kl += p_rest * std::log(p_rest / q_rest);
    divergence += kl;
    worst = std::max(worst, kl);
    ++compared;
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    if (best == stored[0][0].get<int64_t>()) ++same_top;
  }
};

// The first `windows` windows of 1,024 of the reference's ids, each behind `prefix` (BOS or nothing); the first id of a
// window is not scored.
inline TextMeasure measure_text(LoadedModel& model, const Json& reference, size_t windows,
                                const std::vector<int32_t>& prefix) {
  constexpr size_t kWindow = 1024;
  const auto ids = reference["ids"].get<std::vector<int32_t>>();
  TextMeasure measure;
  for (size_t window = 0; window < windows; ++window) {
    measure.reference_nll += reference["window_nll_sum"][window].get<double>();
    const auto text = std::span(ids).subspan(window * kWindow, kWindow);
    std::vector<int32_t> tokens = prefix;
    tokens.insert(tokens.end(), text.begin(), text.end());
    model.forward_logits(tokens, [&](int64_t index, std::span<const float> logits) {
      const int64_t position = index - static_cast<int64_t>(prefix.size());  // in the window
      if (position < 0) return;
      const double total = log_sum_exp(logits);
      if (position + 1 < static_cast<int64_t>(kWindow)) {
        measure.nll +=
            total - static_cast<double>(logits[static_cast<size_t>(text[static_cast<size_t>(position) + 1])]);
        ++measure.scored;
      }
      if (position % 32 != 31 || window >= reference["kl"].size()) return;
      const Json& at = reference["kl"][window][static_cast<size_t>(position / 32)];
      ASSERT_EQ(at["pos"].get<int64_t>(), position);
      measure.compare(logits, total, at["top64"]);
    });
  }
  return measure;
}

}  // namespace mhub::model
