// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "mhub/quantize/quantize.h"

namespace mhub::quantize {
namespace {

// A "model" over 4 tokens: one token per letter of the text; logits are a function of the token seen.
class FakeModel : public Evaluator {
 public:
  explicit FakeModel(std::function<std::vector<float>(int32_t)> rule) : rule_(std::move(rule)) {}
  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> out;
    for (const char c : text) out.push_back(c - 'a');
    return out;
  }
  void logits(std::span<const int32_t> tokens,
              const std::function<void(int64_t, std::span<const float>)>& sink) override {
    windows.emplace_back(tokens.begin(), tokens.end());
    for (size_t i = 0; i < tokens.size(); ++i) {
      const auto row = rule_(tokens[i]);
      sink(static_cast<int64_t>(i), row);
    }
  }
  std::vector<std::vector<int32_t>> windows;

 private:
  std::function<std::vector<float>(int32_t)> rule_;
};

std::vector<float> uniform(int32_t) {
  return {5, 5, 5, 5};
}

TEST(Perplexity, UniformModelHasTheVocabularySize) {
  FakeModel model(uniform);
  const auto result = perplexity(model, "abcdabcdab", 4);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_DOUBLE_EQ(result->value, 4.0);
  EXPECT_EQ(result->tokens, 6);  // two full windows of 4; the first of each and the tail are not scored
  ASSERT_EQ(model.windows.size(), 2u);
  EXPECT_EQ(model.windows[1], (std::vector<int32_t>{0, 1, 2, 3}));
}

TEST(Perplexity, KnownProbabilities) {
  // After any token: p = 1/2, 1/4, 1/8, 1/8. "abca" scores b, c, a: 1/4 * 1/8 * 1/2 = 2^-6 over three tokens = 2^-2
  // each.
  FakeModel model([](int32_t) { return std::vector<float>{std::log(4.0f), std::log(2.0f), 0, 0}; });
  EXPECT_NEAR(perplexity(model, "abca", 4)->value, 4.0, 1e-6);
}

TEST(Perplexity, LargeLogitsAndMaskedTokensAreExact) {
  FakeModel model([](int32_t) {
    const float none = -std::numeric_limits<float>::infinity();
    return std::vector<float>{30000, 30000, none, none};
  });
  EXPECT_DOUBLE_EQ(perplexity(model, "abab", 4)->value, 2.0);
}

TEST(Perplexity, Refusals) {
  FakeModel model(uniform);
  const auto few = perplexity(model, "abc", 4);
  ASSERT_FALSE(few);
  EXPECT_EQ(few.error().code, ErrorCode::kUsage);
  EXPECT_NE(few.error().message.find("3 tokens, fewer than one window of 4"), std::string::npos);
  EXPECT_EQ(perplexity(model, "abc", 1).error().code, ErrorCode::kUsage);
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    FakeModel broken([bad](int32_t) { return std::vector<float>(4, bad); });
    const auto result = perplexity(broken, "abcd", 4);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kBadModel);
    EXPECT_NE(result.error().message.find("position 0"), std::string::npos);
  }
}

TEST(Compare, IdenticalModels) {
  const auto rule = [](int32_t t) { return std::vector<float>{0.1f * static_cast<float>(t), 1, 2, -3}; };
  FakeModel a(rule), b(rule);
  QualityCard card;
  ASSERT_TRUE(compare(a, b, "abcdabcd", 4, card));
  EXPECT_DOUBLE_EQ(card.mean_kl, 0);
  EXPECT_DOUBLE_EQ(card.same_top, 1);
  EXPECT_EQ(card.source_perplexity, card.quantized_perplexity);
  EXPECT_EQ(card.tokens, 6);
  EXPECT_EQ(card.context, 4);
}

TEST(Compare, KnownDivergence) {
  FakeModel source([](int32_t) {
    return std::vector<float>{std::log(4.0f), std::log(2.0f), 0, 0};
  });                                                                                        // 1/2 1/4 1/8 1/8
  FakeModel quantized([](int32_t) { return std::vector<float>{0, std::log(2.0f), 0, 0}; });  // 1/5 2/5 1/5 1/5
  QualityCard card;
  ASSERT_TRUE(compare(source, quantized, "abca", 4, card));
  const double kl = 0.5 * std::log(0.5 / 0.2) + 0.25 * std::log(0.25 / 0.4) + 0.25 * std::log(0.125 / 0.2);
  EXPECT_NEAR(card.mean_kl, kl, 1e-6);
  EXPECT_DOUBLE_EQ(card.same_top, 0);
  EXPECT_NEAR(card.source_perplexity, 4.0, 1e-6);
  EXPECT_NEAR(card.quantized_perplexity, std::pow(0.4 * 0.2 * 0.2, -1.0 / 3), 1e-6);
}

TEST(Compare, AtMostSixteenWindowsArePaired) {
  // Same distribution until the 17th window of 2 tokens, whose first token is 'd'.
  FakeModel source(uniform);
  FakeModel quantized([](int32_t t) { return t == 3 ? std::vector<float>{9, 0, 0, 0} : uniform(t); });
  std::string text;
  for (int i = 0; i < 16; ++i) text += "ab";
  QualityCard card;
  ASSERT_TRUE(compare(source, quantized, text + "db", 2, card));
  EXPECT_DOUBLE_EQ(card.mean_kl, 0);
  EXPECT_EQ(card.tokens, 17);
  EXPECT_GT(card.quantized_perplexity, card.source_perplexity);
  ASSERT_TRUE(compare(source, quantized, "db" + text, 2, card));
  EXPECT_GT(card.mean_kl, 0);
}

TEST(Card, JsonIsTheContracts) {
  QualityCard card;
  card.source_perplexity = 4.5;
  card.quantized_perplexity = 4.75;
  card.tokens = 10;
  card.context = 1024;
  card.mean_kl = 0.25;
  card.same_top = 0.5;
  card.bits_per_weight = 4.125;
  card.source_bytes = 100;
  card.quantized_bytes = 30;
  card.method = "rtn";
  card.group_size = 128;
  card.symmetric = true;
  EXPECT_EQ(card.to_json(),
            Json::parse(R"({"perplexity":{"source":4.5,"quantized":4.75,"tokens":10,"context":1024},"mean_kl":0.25,
    "same_top":0.5,"bits_per_weight":4.125,"bytes":{"source":100,"quantized":30},"method":"rtn","group_size":128,"symmetric":true})"));
}

}  // namespace
}  // namespace mhub::quantize
