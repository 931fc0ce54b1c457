// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "mhub/base/check.h"
#include "mhub/quantize/quantize.h"

namespace mhub::quantize {
namespace {

constexpr int64_t kCompareWindows = 16;

// log(sum(exp(logits))) in two parts, so that large logits lose nothing: top + log_sum.
struct Norm {
  double top = 0, log_sum = 0;
  double log_probability(float logit) const { return (static_cast<double>(logit) - top) - log_sum; }
};

Norm norm_of(std::span<const float> logits) {
  Norm norm;
  norm.top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - norm.top);
  norm.log_sum = std::log(sum);
  return norm;
}

Error non_finite(int64_t position) {
  return {ErrorCode::kBadModel, fmt::format("evaluating the model: logits at position {} are not finite", position),
          "the weights or scales are damaged: run `mhub verify`", ""};
}

Error interrupted() {
  return {ErrorCode::kInterrupted, "evaluating the model: interrupted", "nothing was registered", ""};
}

// Sum over positions, windows and models that keeps its precision however many terms there are (Neumaier).
class Sum {
 public:
  void add(double x) {
    const double total = sum_ + x;
    rest_ += std::fabs(sum_) >= std::fabs(x) ? (sum_ - total) + x : (x - total) + sum_;
    sum_ = total;
  }
  double value() const { return sum_ + rest_; }

 private:
  double sum_ = 0, rest_ = 0;
};

// The text as full windows of `context` tokens without overlap; the rest at the end is not used.
Result<std::vector<std::vector<int32_t>>> windows_of(const Evaluator& model, std::string_view text, int64_t context) {
  if (context < 2)
    return Error{ErrorCode::kUsage, fmt::format("--eval-context {}: must be 2 or more", context), "the default is 1024",
                 ""};
  const auto tokens = model.encode(text);
  const auto size = static_cast<size_t>(context);
  if (tokens.size() < size) {
    return Error{ErrorCode::kUsage,
                 fmt::format("the evaluation text has {} tokens, fewer than one window of {}", tokens.size(), context),
                 "give a longer --eval-text or a smaller --eval-context", ""};
  }
  std::vector<std::vector<int32_t>> windows;
  for (size_t begin = 0; begin + size <= tokens.size(); begin += size) {
    windows.emplace_back(tokens.begin() + static_cast<ptrdiff_t>(begin),
                         tokens.begin() + static_cast<ptrdiff_t>(begin + size));
  }
  return windows;
}

// Runs one window; `row` gets each position's logits. Fails on logits that are not finite (masked ones are -inf).
Result<void> run_window(Evaluator& model, std::span<const int32_t> window,
                        const std::function<void(int64_t, std::span<const float>, const Norm&)>& row) {
  std::optional<Error> error;
  int64_t rows = 0;
  model.logits(window, [&](int64_t position, std::span<const float> logits) {
    if (error) return;
    ++rows;
    const Norm norm = norm_of(logits);
    if (!std::isfinite(norm.top) || !std::isfinite(norm.log_sum)) {
      error = non_finite(position);
      return;
    }
    row(position, logits, norm);
  });
  if (error) return *error;
  MHUB_CHECK(rows == static_cast<int64_t>(window.size()));
  return {};
}

// Negative log likelihood of the token after `position`, if the window has one.
double next_token_loss(std::span<const int32_t> window, int64_t position, std::span<const float> logits,
                       const Norm& norm) {
  const auto next = static_cast<size_t>(window[static_cast<size_t>(position) + 1]);
  MHUB_CHECK(next < logits.size());
  return -norm.log_probability(logits[next]);
}
bool has_next(std::span<const int32_t> window, int64_t position) {
  return position + 1 < static_cast<int64_t>(window.size());
}

int64_t arg_max(std::span<const float> logits) {
  return std::max_element(logits.begin(), logits.end()) - logits.begin();
}

// KL(p || q) of the distributions with these logits and norms, in nats.
double divergence(std::span<const float> p, const Norm& p_norm, std::span<const float> q, const Norm& q_norm) {
  double sum = 0;
  const size_t n = std::min(p.size(), q.size());
  for (size_t i = 0; i < n; ++i) {
    const double log_p = p_norm.log_probability(p[i]);
    if (std::isinf(log_p)) continue;  // probability 0
    sum += std::exp(log_p) * (log_p - q_norm.log_probability(q[i]));
  }
  return sum;
}

// One window of the source, kept while the quantized model runs over it.
struct WindowLogits {
  std::vector<float> logits;  // [context, vocab]
  std::vector<Norm> norms;
  size_t vocab = 0;
  std::span<const float> row(int64_t position) const {
    return std::span(logits).subspan(static_cast<size_t>(position) * vocab, vocab);
  }
};

}  // namespace

Json QualityCard::to_json() const {
  return {
      {"perplexity",
       {{"source", source_perplexity}, {"quantized", quantized_perplexity}, {"tokens", tokens}, {"context", context}}},
      {"mean_kl", mean_kl},
      {"same_top", same_top},
      {"bits_per_weight", bits_per_weight},
      {"bytes", {{"source", source_bytes}, {"quantized", quantized_bytes}}},
      {"method", method},
      {"group_size", group_size},
      {"symmetric", symmetric}};
}

Result<Perplexity> perplexity(Evaluator& model, std::string_view text, int64_t context, std::stop_token stop) {
  MHUB_TRY(const auto windows, windows_of(model, text, context));
  Sum loss;
  int64_t tokens = 0;
  for (const auto& window : windows) {
    if (stop.stop_requested()) return interrupted();
    MHUB_CHECK_OK(run_window(model, window, [&](int64_t position, std::span<const float> logits, const Norm& norm) {
      if (!has_next(window, position)) return;
      loss.add(next_token_loss(window, position, logits, norm));
      ++tokens;
    }));
  }
  return Perplexity{std::exp(loss.value() / static_cast<double>(tokens)), tokens};
}

Result<void> compare(Evaluator& source, Evaluator& quantized, std::string_view text, int64_t context, QualityCard& card,
                     std::stop_token stop) {
  MHUB_TRY(const auto windows, windows_of(source, text, context));
  Sum source_loss, quantized_loss, kl;
  int64_t tokens = 0, positions = 0, same = 0;
  WindowLogits kept;
  for (size_t w = 0; w < windows.size(); ++w) {
    if (stop.stop_requested()) return interrupted();
    const auto& window = windows[w];
    const bool paired = w < static_cast<size_t>(kCompareWindows);
    kept.norms.assign(window.size(), {});
    MHUB_CHECK_OK(run_window(source, window, [&](int64_t position, std::span<const float> logits, const Norm& norm) {
      if (paired) {
        kept.vocab = logits.size();
        kept.logits.resize(window.size() * kept.vocab);
        std::copy(logits.begin(), logits.end(), kept.logits.begin() + position * static_cast<int64_t>(kept.vocab));
        kept.norms[static_cast<size_t>(position)] = norm;
      }
      if (has_next(window, position)) source_loss.add(next_token_loss(window, position, logits, norm));
    }));
    MHUB_CHECK_OK(run_window(quantized, window, [&](int64_t position, std::span<const float> logits, const Norm& norm) {
      if (paired) {
        const auto reference = kept.row(position);
        kl.add(divergence(reference, kept.norms[static_cast<size_t>(position)], logits, norm));
        same += arg_max(reference) == arg_max(logits) ? 1 : 0;
        ++positions;
      }
      if (has_next(window, position)) quantized_loss.add(next_token_loss(window, position, logits, norm));
    }));
    tokens += context - 1;
  }
  card.source_perplexity = std::exp(source_loss.value() / static_cast<double>(tokens));
  card.quantized_perplexity = std::exp(quantized_loss.value() / static_cast<double>(tokens));
  card.tokens = tokens;
  card.context = context;
  card.mean_kl = kl.value() / static_cast<double>(positions);
  card.same_top = static_cast<double>(same) / static_cast<double>(positions);
  return {};
}

}  // namespace mhub::quantize
