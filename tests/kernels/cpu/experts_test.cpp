// SPDX-License-Identifier: Apache-2.0
// Routing, grouped products and weighted sums of a mixture of experts.
#include <gtest/gtest.h>

#include <numeric>

#include "isas.h"
#include "support/random_matrix.h"
#include "support/ref_ops.h"

namespace mhub::kernels {
namespace {

using testing::random_floats;

// ExpertRows with its memory.
struct Routing {
  Routing(int64_t tokens, int64_t top_k, int64_t experts)
      : ints(static_cast<size_t>(experts + 1 + 2 * tokens * top_k), -1), weights(static_cast<size_t>(tokens * top_k)) {
    rows = {tokens,
            top_k,
            experts,
            ints.data(),
            ints.data() + experts + 1,
            ints.data() + experts + 1 + tokens * top_k,
            weights.data()};
  }
  // Expert of (token, choice).
  int64_t expert(int64_t token, int64_t choice) const {
    const int32_t row = rows.choice_rows[token * rows.top_k + choice];
    return std::upper_bound(rows.offsets, rows.offsets + rows.experts + 1, row) - rows.offsets - 1;
  }
  std::vector<int32_t> ints;
  std::vector<float> weights;
  ExpertRows rows;
};

// The choices and weights of one token's logits.
struct Choice {
  std::vector<int64_t> experts;
  std::vector<float> weights;
};
Choice choose(std::vector<float> logits, const RouterOptions& options) {
  const auto device = backend("scalar");
  Routing routing(1, options.top_k, static_cast<int64_t>(logits.size()));
  device->route_experts(routing.rows, view(logits, 1, routing.rows.experts), options);
  Choice choice{{}, routing.weights};
  for (int64_t j = 0; j < options.top_k; ++j) choice.experts.push_back(routing.expert(0, j));
  return choice;
}

float sigmoid(float x) {
  return 1.0f / (1.0f + std::exp(-x));
}

TEST(RouteExperts, SoftmaxWithAndWithoutRenormalizing) {
  const std::vector<float> logits = {std::log(1.0f), std::log(4.0f), std::log(2.0f), std::log(3.0f)};
  Choice choice = choose(logits, {.top_k = 2});
  EXPECT_EQ(choice.experts, (std::vector<int64_t>{1, 3}));
  EXPECT_NEAR(choice.weights[0], 0.4f, 1e-6);
  EXPECT_NEAR(choice.weights[1], 0.3f, 1e-6);
  choice = choose(logits, {.top_k = 2, .renormalize = true, .scale = 2.0f});
  EXPECT_NEAR(choice.weights[0], 8.0f / 7, 1e-6);
  EXPECT_NEAR(choice.weights[1], 6.0f / 7, 1e-6);
}

TEST(RouteExperts, EqualScoresGoToTheLowerExpert) {
  EXPECT_EQ(choose({1, 2, 2, 2}, {.top_k = 2}).experts, (std::vector<int64_t>{1, 2}));
}

TEST(RouteExperts, BiasChoosesButDoesNotWeigh) {
  const std::vector<float> bias = {0, 0, 0.9f, 0};
  const Choice choice =
      choose({2, 1, -2, 0}, {.top_k = 2, .sigmoid = true, .bias = bias.data(), .renormalize = true, .scale = 2.5f});
  EXPECT_EQ(choice.experts, (std::vector<int64_t>{2, 0}));
  const float total = sigmoid(-2) + sigmoid(2);
  EXPECT_NEAR(choice.weights[0], 2.5f * sigmoid(-2) / total, 1e-6);
  EXPECT_NEAR(choice.weights[1], 2.5f * sigmoid(2) / total, 1e-6);
}

TEST(RouteExperts, GroupsByTheirBestOrTheirTwoBest) {
  // Group 0 holds the single best expert, group 1 the best pair.
  const std::vector<float> logits = {3, -4, 2, 2.5f, -5, -5};
  RouterOptions options{.top_k = 2, .groups = 3, .kept_groups = 1};
  EXPECT_EQ(choose(logits, options).experts, (std::vector<int64_t>{0, 1}));
  options.sigmoid = options.group_by_top_two = true;
  EXPECT_EQ(choose(logits, options).experts, (std::vector<int64_t>{3, 2}));
}

// A corrected score below zero in a kept group beats a masked expert, which a mask of 0 would let win.
TEST(RouteExperts, NegativeCorrectedScoresBeatMaskedExperts) {
  const std::vector<float> bias = {0.5f, -2.0f, 0.0f, 0.0f};
  const Choice choice = choose({4, 4, -3, -3}, {.top_k = 2, .sigmoid = true, .bias = bias.data(), .groups = 2});
  EXPECT_EQ(choice.experts, (std::vector<int64_t>{0, 1}));
}

TEST(RouteExperts, NotANumberEndsInTheWeights) {
  const Choice choice = choose({1, std::nanf(""), 0, 2}, {.top_k = 2});
  EXPECT_TRUE(std::isnan(choice.weights[0]));
}

TEST(RouteExperts, RefusesWhatCannotBe) {
  const auto device = backend("scalar");
  std::vector<float> logits(8);
  const auto route = [&](int64_t top_k, const RouterOptions& options) {
    Routing routing(1, top_k, 8);
    device->route_experts(routing.rows, view(logits, 1, 8), options);
  };
  EXPECT_NO_THROW(route(2, {.top_k = 2}));
  EXPECT_THROW(route(2, {.top_k = 3}), BackendError);
  EXPECT_THROW(route(9, {.top_k = 9}), BackendError);
  EXPECT_THROW(route(2, {.top_k = 2, .groups = 3}), BackendError);
  EXPECT_THROW(route(3, {.top_k = 3, .groups = 4, .kept_groups = 1}), BackendError);
}

class ExpertsTest : public ::testing::TestWithParam<std::tuple<std::string, DType>> {};

TEST_P(ExpertsTest, GroupedProductsAndTheirSums) {
  const auto [isa, dtype] = GetParam();
  const auto device = backend(isa);
  std::mt19937 rng(4);
  constexpr int64_t kExperts = 5, kIn = 64, kOut = 40, kTopK = 2;
  std::vector<testing::RandomMatrix> matrices;
  std::vector<MatrixSource> sources;
  std::vector<std::vector<float>> decoded(kExperts);
  for (int64_t e = 0; e < kExperts; ++e) {  // two parts an expert, as gate and up
    for (const int64_t part : {24, 16}) {
      matrices.push_back(testing::random_matrix(rng, {.dtype = dtype}, part, kIn));
      sources.push_back(matrices.back().source);
      const auto values = matrices.back().decoded();
      auto& all = decoded[static_cast<size_t>(e)];
      all.insert(all.end(), values.begin(), values.end());
    }
  }
  std::string why;
  const auto weight = device->prepare(sources, false, &why);
  ASSERT_NE(weight, nullptr) << why;
  const std::vector<float> bias = random_floats(rng, kExperts * kOut);

  for (const int64_t tokens : {0, 1, 3, 37}) {
    std::vector<float> logits = random_floats(rng, tokens * kExperts), x = random_floats(rng, tokens * kIn);
    for (int64_t t = 0; t < tokens; ++t) logits[static_cast<size_t>(t * kExperts + 2)] = -50.0f;  // never chosen
    Routing routing(tokens, kTopK, kExperts);
    device->route_experts(routing.rows, view(logits, tokens, kExperts), {.top_k = kTopK});
    EXPECT_EQ(routing.rows.offsets[2], routing.rows.offsets[3]);
    EXPECT_EQ(routing.rows.offsets[kExperts], tokens * kTopK);
    std::vector<float> out(static_cast<size_t>(tokens * kTopK * kOut)), again(out.size());
    std::vector<float> sum(static_cast<size_t>(tokens * kOut)), sorted(static_cast<size_t>(tokens * kTopK * kIn));
    device->grouped_linear(view(out, tokens * kTopK, kOut), view(x, tokens, kIn), routing.rows, true, *weight,
                           bias.data());
    for (int64_t i = 0; i < tokens * kTopK; ++i)
      std::copy_n(x.begin() + routing.rows.row_tokens[i] * kIn, kIn, sorted.begin() + i * kIn);
    device->grouped_linear(view(again, tokens * kTopK, kOut), view(sorted, tokens * kTopK, kIn), routing.rows, false,
                           *weight, bias.data());
    EXPECT_EQ(out, again);
    device->combine_experts(view(sum, tokens, kOut), view(out, tokens * kTopK, kOut), routing.rows);
    for (int64_t t = 0; t < tokens; ++t) {
      std::vector<double> total(kOut, 0.0);
      const std::vector<float> row(x.begin() + t * kIn, x.begin() + (t + 1) * kIn);
      for (int64_t j = 0; j < kTopK; ++j) {
        const int64_t e = routing.expert(t, j);
        const auto y = ref::linear(row, decoded[static_cast<size_t>(e)], bias.data() + e * kOut, 1, kOut, kIn);
        for (size_t i = 0; i < kOut; ++i)
          total[i] += y[i] * static_cast<double>(routing.weights[static_cast<size_t>(t * kTopK + j)]);
      }
      for (size_t i = 0; i < kOut; ++i) ASSERT_NEAR(sum[static_cast<size_t>(t * kOut) + i], total[i], 2e-4);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, ExpertsTest,
                         ::testing::Combine(::testing::ValuesIn(isas()), ::testing::Values(DType::kF32, DType::kQ8_0)),
                         [](const auto& p) {
                           return std::get<0>(p.param) + "_" + std::string(dtype_info(std::get<1>(p.param)).name);
                         });

// A back end without the newer operations says so, and still does what the plain ones can do.
TEST(BackendDefaults, MissingOperationsAreNamed) {
  const auto device = backend("scalar");
  Backend& b = *device;
  std::vector<float> x(8, 1.0f);
  const auto message = [](const auto& call) {
    try {
      call();
    } catch (const BackendError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message([&] { b.Backend::soft_cap(view(x, 1, 8), 3.0f); }), "soft_cap is not on the cpu back end yet");
  EXPECT_NE(message([&] { b.Backend::gated_activation(view(x, 1, 4), view(x, 1, 8), {Activation::kGeluTanh}); }), "");
  std::vector<float> out(4);
  b.Backend::gated_activation(view(out, 1, 4), view(x, 1, 8), {});
  EXPECT_NEAR(out[0], ref::silu(1.0), 1e-6);
}

}  // namespace
}  // namespace mhub::kernels
