// SPDX-License-Identifier: Apache-2.0
#include "sampling/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "sampling/candidates.h"

namespace mhub::model {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Row {
  std::vector<float> logits;
  SamplingParams params;
  std::vector<int32_t> prompt = {}, output = {};

  RowResult sample(Sampler& sampler) const {
    std::vector<float> copy = logits;
    StepRow row;
    row.sample = true;
    row.params = &params;
    row.prompt = prompt;
    row.output = output;
    return sampler.sample(copy, row);
  }
  RowResult sample() const {
    Sampler sampler;
    return sample(sampler);
  }
  // Share of each token over many output indices.
  std::map<int32_t, double> shares(int draws) {
    Sampler sampler;
    std::map<int32_t, double> count;
    for (int i = 0; i < draws; ++i) {
      params.seed = static_cast<uint64_t>(i);
      count[sample(sampler).token.value()] += 1.0 / draws;
    }
    return count;
  }
};

SamplingParams greedy() {
  SamplingParams params;
  params.temperature = 0;
  return params;
}

TEST(Sampler, GreedyTakesTheFirstOfTheLargest) {
  EXPECT_EQ((Row{{1, 3, 2, 3}, greedy()}.sample().token), 1);
  std::vector<float> wide(1000, -1.0f);
  wide[777] = 5;
  EXPECT_EQ((Row{wide, greedy()}.sample().token), 777);
}

TEST(Sampler, NonFiniteLogitsAreReported) {
  for (const float bad : {std::nanf(""), kInfinity}) {
    for (const size_t at : {size_t{3}, size_t{70}, size_t{99}}) {
      std::vector<float> logits(100, 0.5f);
      logits[at] = bad;
      const auto result = Row{logits, greedy()}.sample();
      EXPECT_TRUE(result.non_finite);
      EXPECT_FALSE(result.token);
    }
  }
  EXPECT_TRUE((Row{std::vector<float>(40, -kInfinity), {}}.sample().non_finite));
  EXPECT_FALSE((Row{{-kInfinity, 1}, {}}.sample().non_finite));
}

TEST(Sampler, BiasAndMinTokens) {
  Row row{{1, 2, 3, 0}, greedy()};
  row.params.logit_bias = {{3, 10.0f}, {99, 5.0f}};
  EXPECT_EQ(row.sample().token, 3);
  row.params.min_tokens = 2;
  row.params.stop_token_ids = {3, 2};
  EXPECT_EQ(row.sample().token, 1);
  row.output = {0, 0};
  EXPECT_EQ(row.sample().token, 3);
}

TEST(Sampler, RepetitionPenaltyCoversPromptAndOutput) {
  Row row{{2.0f, 1.9f, -1.0f}, greedy()};
  row.params.repetition_penalty = 2.0f;
  row.prompt = {0};
  EXPECT_EQ(row.sample().token, 1);
  row.output = {1};
  EXPECT_EQ(row.sample().token, 0);  // 1.0, 0.95
  // A negative logit is multiplied.
  Row negative{{-1.0f, -1.5f}, greedy()};
  negative.params.repetition_penalty = 2.0f;
  negative.prompt = {0};
  EXPECT_EQ(negative.sample().token, 1);
}

TEST(Sampler, FrequencyAndPresenceCountOutputOnly) {
  Row row{{2.0f, 1.0f}, greedy()};
  row.params.frequency_penalty = 0.4f;
  row.prompt = {0, 0, 0, 0};
  EXPECT_EQ(row.sample().token, 0);
  row.output = {0, 0};
  EXPECT_EQ(row.sample().token, 0);  // 1.2
  row.output = {0, 0, 0};
  EXPECT_EQ(row.sample().token, 1);  // 0.8
  row.params.frequency_penalty = 0;
  row.params.presence_penalty = 0.9f;
  EXPECT_EQ(row.sample().token, 0);  // 1.1, however often
  row.params.presence_penalty = 1.1f;
  EXPECT_EQ(row.sample().token, 1);
}

TEST(Sampler, PenaltyScratchIsCleanForTheNextRow) {
  Sampler sampler;
  Row row{{2.0f, 1.0f}, greedy()};
  row.params.presence_penalty = 2.0f;
  row.output = {0};
  EXPECT_EQ(row.sample(sampler).token, 1);
  row.output = {};
  EXPECT_EQ(row.sample(sampler).token, 0);
}

TEST(Sampler, PenaltiesSeeOnlyTheirWindow) {
  Row row{{2.0f, 1.0f, 0.0f}, greedy()};
  row.params.presence_penalty = 1.5f;
  row.output = {0, 2, 2};
  EXPECT_EQ(row.sample().token, 1);
  row.params.penalty_window = 2;
  EXPECT_EQ(row.sample().token, 0);
  row.params.penalty_window = 0;
  EXPECT_EQ(row.sample().token, 0);
  // The window reaches into the prompt where the output is shorter.
  Row prompted{{2.0f, 1.9f}, greedy()};
  prompted.params.repetition_penalty = 2.0f;
  prompted.prompt = {0, 1};
  prompted.output = {1};
  prompted.params.penalty_window = 2;
  EXPECT_EQ(prompted.sample().token, 0);
  prompted.params.penalty_window = 3;
  EXPECT_EQ(prompted.sample().token, 0) << "1.0 and 0.95";
  prompted.logits = {2.0f, 2.1f};
  prompted.params.penalty_window = 1;
  EXPECT_EQ(prompted.sample().token, 0);
  prompted.params.penalty_window = 0;
  EXPECT_EQ(prompted.sample().token, 1);
}

TEST(Sampler, AllowedIdsAndBadWords) {
  Row row{{5, 4, 3, 2}, greedy()};
  row.params.allowed_token_ids = {3, 2, 99, 2};
  EXPECT_EQ(row.sample().token, 2);
  row.params.bad_words = {{2}};
  EXPECT_EQ(row.sample().token, 3);
  row.params.bad_words = {{0, 1, 2}};
  EXPECT_EQ(row.sample().token, 2);
  row.output = {0, 1};
  EXPECT_EQ(row.sample().token, 3);
  row.output = {0, 1, 0};
  EXPECT_EQ(row.sample().token, 2);
  row.prompt = {0, 1};
  row.output = {};
  EXPECT_EQ(row.sample().token, 2) << "the prompt is no part of a bad word";
  row.params.bad_words = {{2}, {3}};
  const auto nothing = row.sample();
  EXPECT_TRUE(nothing.nothing_allowed);
  EXPECT_FALSE(nothing.non_finite);
  EXPECT_FALSE(nothing.token);
}

TEST(Sampler, TheMaskOfAConstraintComesBeforeRawLogprobs) {
  std::vector<float> logits(70, 0.0f);
  logits[0] = 9;
  const std::vector<uint32_t> mask = {0, 1u << 1, 1u << 3};
  Sampler sampler;
  SamplingParams params = greedy();
  params.logprobs = 3;
  StepRow row;
  row.params = &params;
  row.allowed = mask;
  EXPECT_FALSE(Sampler::reads_logits_alone(row));
  const auto result = sampler.sample(logits, row);
  EXPECT_EQ(result.token, 33);
  EXPECT_NEAR(result.logprobs->chosen.logprob, std::log(0.5), 1e-6);
  EXPECT_EQ(result.logprobs->top[1].token, 67);
  EXPECT_EQ(result.logprobs->top[2].logprob, -kInfinity);
  const std::vector<uint32_t> none(3, 0);
  row.allowed = none;
  EXPECT_TRUE(sampler.sample(logits, row).nothing_allowed);
}

TEST(Sampler, TypicalKeepsTheTokensNearTheEntropy) {
  // -log p: 0.51, 2.30, 2.30, 3.00, 3.00, 2.30; entropy 1.30.
  Row row{{std::log(0.6f), std::log(0.1f), std::log(0.1f), std::log(0.05f), std::log(0.05f), std::log(0.1f)}, {}};
  const auto kept = [&](float p) {
    row.params.typical_p = p;
    return row.shares(3000);
  };
  EXPECT_EQ(kept(0.3f).size(), 1u);
  EXPECT_EQ(kept(0.3f).begin()->first, 0);
  EXPECT_EQ(kept(0.65f).size(), 2u);
  EXPECT_EQ(kept(0.85f).size(), 4u);
  EXPECT_EQ(kept(1.0f).size(), 6u);
  // The likeliest goes where it says too little: entropy 2.01, surprises 0.80 and 3.00 (eleven times).
  std::vector<Candidate> flat = {{0, 0.45f, 0}};
  for (int32_t i = 1; i < 12; ++i) flat.push_back({0, 0.05f, i});
  double total = 0;
  for (const auto& c : flat) total += static_cast<double>(c.weight);
  const double left = keep_typical(flat, 0.18, total);
  ASSERT_EQ(flat.size(), 4u);
  EXPECT_NEAR(left, 0.2, 1e-6);
  for (const auto& c : flat) EXPECT_NE(c.token, 0);
}

TEST(Sampler, SharesFollowTheSoftmaxOfTheTemperature) {
  for (const float temperature : {0.5f, 1.0f, 2.0f}) {
    Row row{{0.0f, 1.0f, 2.0f, -1.0f}, {}};
    row.params.temperature = temperature;
    double total = 0;
    for (const float l : row.logits) total += std::exp(static_cast<double>(l / temperature));
    auto shares = row.shares(40000);
    for (int32_t t = 0; t < 4; ++t) {
      const double p = std::exp(static_cast<double>(row.logits[static_cast<size_t>(t)] / temperature)) / total;
      EXPECT_NEAR(shares[t], p, 5 * std::sqrt(p * (1 - p) / 40000)) << t;
    }
  }
}

TEST(Sampler, DrawsDependOnSeedAndIndexOnly) {
  std::vector<float> logits(500);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i % 7) * 0.1f;
  Row row{logits, {}};
  row.params.seed = 42;
  Sampler used;
  for (int i = 0; i < 10; ++i) Row{{1, 2, 3}, {}}.sample(used);
  EXPECT_EQ(row.sample(used).token, row.sample().token);
  std::set<int32_t> tokens;
  for (int i = 0; i < 20; ++i) {
    tokens.insert(*row.sample().token);
    row.output.push_back(0);
  }
  EXPECT_GT(tokens.size(), 10u);
  // Filters that keep everything that matters do not change a draw.
  Row filtered = row;
  filtered.params.top_k = 499;
  EXPECT_EQ(filtered.sample().token, row.sample().token);
}

TEST(Sampler, TopKKeepsTies) {
  Row row{{1, 3, 3, 2, 3, 0}, {}};
  row.params.top_k = 2;
  const auto shares = row.shares(600);
  EXPECT_EQ(shares.size(), 3u);  // the three equal ones
  row.params.top_k = 4;
  EXPECT_EQ(row.shares(2000).size(), 4u);
}

TEST(Sampler, TopPKeepsTheFirstThatReachP) {
  Row row{{std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)}, {}};
  const auto kept = [&](float p) {
    row.params.top_p = p;
    return row.shares(3000).size();
  };
  EXPECT_EQ(kept(0.01f), 1u);
  EXPECT_EQ(kept(0.49f), 1u);
  EXPECT_EQ(kept(0.51f), 2u);
  EXPECT_EQ(kept(0.81f), 3u);
  EXPECT_EQ(kept(0.96f), 4u);
  // After top_k the remaining probabilities are renormalized: 0.625, 0.375.
  row.params.top_k = 2;
  EXPECT_EQ(kept(0.6f), 1u);
  EXPECT_EQ(kept(0.63f), 2u);
}

TEST(Sampler, TopPOverAWideRowEqualsAFullSort) {
  std::vector<float> logits(20000);
  uint32_t state = 1;
  for (float& l : logits) {
    state = state * 1664525u + 1013904223u;
    l = static_cast<float>(state >> 8) / 3e6f;
  }
  std::vector<Candidate> all;
  double total = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    all.push_back({logits[i], std::exp(logits[i] - 5.6f), static_cast<int32_t>(i)});
    total += static_cast<double>(all.back().weight);
  }
  for (const double p : {0.1, 0.5, 0.9, 0.99}) {
    auto sorted = all;
    std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
      return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
    });
    size_t count = 0;
    double sum = 0;
    while (count < sorted.size() && sum < p * total) sum += static_cast<double>(sorted[count++].weight);
    auto kept = all;
    keep_top_p(kept, p, total);
    EXPECT_EQ(kept.size(), count) << p;
    EXPECT_EQ(kept.back().token, sorted[count - 1].token);
  }
}

TEST(Sampler, MinP) {
  Row row{{0.0f, std::log(0.2f), std::log(0.05f)}, {}};
  row.params.min_p = 0.1f;
  EXPECT_EQ(row.shares(2000).size(), 2u);
  row.params.min_p = 0.04f;
  EXPECT_EQ(row.shares(2000).size(), 3u);
  row.params.temperature = 0.5f;  // ratios are squared: 1, 0.04, 0.0025
  row.params.min_p = 0.05f;
  EXPECT_EQ(row.shares(2000).size(), 1u);
}

TEST(Sampler, KthLargest) {
  std::vector<float> row(3000), scratch;
  for (size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>((i * 7919) % 3000);
  for (const size_t k : {size_t{1}, size_t{50}, size_t{512}, size_t{513}, size_t{3000}})
    EXPECT_EQ(kth_largest(row, k, scratch), static_cast<float>(3000 - k)) << k;
}

TEST(Sampler, LogprobsAreRaw) {
  Row row{{1.0f, 2.0f, 0.5f, 2.0f}, greedy()};
  row.params.logprobs = 3;
  row.params.logit_bias = {{0, 50.0f}};
  row.params.presence_penalty = 1.0f;
  const auto result = row.sample();
  EXPECT_EQ(result.token, 0);
  const double total = std::log(std::exp(1.0) + 2 * std::exp(2.0) + std::exp(0.5));
  ASSERT_TRUE(result.logprobs);
  EXPECT_EQ(result.logprobs->chosen.token, 0);
  EXPECT_EQ(result.logprobs->chosen.rank, 3);
  EXPECT_NEAR(result.logprobs->chosen.logprob, 1.0 - total, 1e-6);
  ASSERT_EQ(result.logprobs->top.size(), 3u);
  EXPECT_EQ(result.logprobs->top[0].token, 1);
  EXPECT_EQ(result.logprobs->top[1].token, 3);
  EXPECT_EQ(result.logprobs->top[2].token, 0);
  EXPECT_EQ(result.logprobs->top[2].rank, 3);
  EXPECT_NEAR(result.logprobs->top[0].logprob, 2.0 - total, 1e-6);
  row.params.logprobs = 0;
  EXPECT_TRUE(row.sample().logprobs->top.empty());
  row.params.logprobs = -1;
  EXPECT_FALSE(row.sample().logprobs);
}

TEST(Sampler, LogprobsOfGivenTokens) {
  Row row{{1.0f, 2.0f, 0.5f, 2.0f}, greedy()};
  row.params.logprobs = 1;
  row.params.logprob_token_ids = {2, 3, 9, 0};
  const auto logprobs = row.sample().logprobs.value();
  EXPECT_EQ(logprobs.chosen.token, 1);
  ASSERT_EQ(logprobs.top.size(), 3u);
  const double total = std::log(std::exp(1.0) + 2 * std::exp(2.0) + std::exp(0.5));
  const int32_t tokens[] = {2, 3, 0}, ranks[] = {4, 1, 3};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(logprobs.top[i].token, tokens[i]);
    EXPECT_EQ(logprobs.top[i].rank, ranks[i]);
    EXPECT_NEAR(logprobs.top[i].logprob, static_cast<double>(row.logits[static_cast<size_t>(tokens[i])]) - total, 1e-6);
  }
}

TEST(Sampler, VectorExpIsAccurate) {
  std::vector<float> row, out(4001);
  for (int i = 0; i <= 4000; ++i) row.push_back(static_cast<float>(-i) * 0.02f);
  double sum = 0;
  const double total = exp_row(out, row, 0, 1);
  for (size_t i = 0; i < row.size(); ++i) {
    const double exact = std::exp(static_cast<double>(row[i]));
    EXPECT_NEAR(out[i], exact, 3e-7 * exact);
    sum += exact;
  }
  EXPECT_NEAR(total, sum, 1e-6 * sum);
  EXPECT_NEAR(sum_exp(row, 0), sum, 1e-6 * sum);
}

}  // namespace
}  // namespace mhub::model
