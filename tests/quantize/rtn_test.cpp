// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "mhub/kernels/matrix.h"
#include "mhub/quantize/quantize.h"

namespace mhub::quantize {
namespace {

std::vector<float> normal_matrix(int64_t rows, int64_t cols, float shift = 0) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(shift, 0.05f);
  std::vector<float> out(static_cast<size_t>(rows * cols));
  for (auto& x : out) x = normal(random);
  return out;
}

// What a reader of the format makes of it: the kernels' decoder.
std::vector<float> decode(const QuantizedMatrix& q, const QuantizeOptions& options, kernels::DType scale_dtype) {
  kernels::MatrixSource source;
  source.dtype = options.bits == 4 ? kernels::DType::kU4 : kernels::DType::kI8;
  source.packed_i8 = options.bits == 8;
  source.rows = q.rows;
  source.cols = q.cols;
  source.data = q.packed.data();
  source.group_size = q.cols / q.groups;
  source.scales = q.scales.data();
  source.scale_dtype = scale_dtype;
  source.zeros = q.zero_points.empty() ? nullptr : q.zero_points.data();
  std::vector<float> out(static_cast<size_t>(q.rows * q.cols));
  kernels::dequantize_rows(source, 0, q.rows, out.data());
  return out;
}

struct Case {
  int bits;
  int64_t group;
  bool symmetric;
};
class Rtn : public ::testing::TestWithParam<Case> {};

TEST_P(Rtn, ErrorIsAtMostHalfAStep) {
  const auto [bits, group, symmetric] = GetParam();
  const QuantizeOptions options{.bits = bits, .group_size = group, .symmetric = symmetric};
  for (const auto dtype : {kernels::DType::kBF16, kernels::DType::kF16}) {
    for (const int64_t rows : {1, 7, 8, 9, 33}) {
      const int64_t cols = 256;
      const auto weights = normal_matrix(rows, cols, 0.02f);
      const auto q = quantize_rtn(weights, rows, cols, options, dtype);
      const int64_t step = group == 0 ? cols : group, per_word = 32 / bits;
      EXPECT_EQ(q.groups, cols / step);
      EXPECT_EQ(static_cast<int64_t>(q.packed.size()), rows * cols / per_word);
      EXPECT_EQ(static_cast<int64_t>(q.zero_points.size()),
                symmetric ? 0 : (rows + per_word - 1) / per_word * q.groups);
      const auto decoded = decode(q, options, dtype);
      for (int64_t n = 0; n < rows; ++n) {
        for (int64_t g = 0; g < q.groups; ++g) {
          float low = 0, high = 0;
          for (int64_t k = 0; k < step; ++k) {
            const float x = weights[static_cast<size_t>(n * cols + g * step + k)];
            low = std::min(low, x), high = std::max(high, x);
          }
          const float span = symmetric ? 2 * std::max(high, -low) : high - low;
          const float ideal = span / static_cast<float>((1 << bits) - 1);
          for (int64_t k = 0; k < step; ++k) {
            const auto i = static_cast<size_t>(n * cols + g * step + k);
            // Half a step; at the ends the rounding of the scale (2^-9) counts as often as there are steps.
            EXPECT_LE(std::fabs(decoded[i] - weights[i]), ideal * (bits == 4 ? 0.56f : 1.25f))
                << n << "," << g << "," << k;
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Rtn,
                         ::testing::Values(Case{4, 32, false}, Case{4, 64, false}, Case{4, 128, false},
                                           Case{4, 32, true}, Case{4, 128, true}, Case{8, 0, false}, Case{8, 0, true},
                                           Case{8, 128, false}, Case{8, 32, true}));

TEST(RtnLayout, NibblesAndZeroPointsAreWhereTheFormatSays) {
  // One row from 0 to 1.5 in steps of 0.1: scale 0.1 (as BF16), zero point -8, codes 0..15 - 8, twice.
  std::vector<float> row;
  for (int i = 0; i < 32; ++i) row.push_back(0.125f * static_cast<float>(i % 16));
  const auto q = quantize_rtn(row, 1, 32, {.bits = 4, .group_size = 32});
  ASSERT_EQ(q.packed.size(), 4u);
  EXPECT_EQ(static_cast<uint32_t>(q.packed[0]), 0x76543210u);
  EXPECT_EQ(static_cast<uint32_t>(q.packed[1]), 0xFEDCBA98u);
  EXPECT_EQ(q.packed[2], q.packed[0]);
  EXPECT_EQ(q.scales[0], 0x3E00);  // 0.125
  ASSERT_EQ(q.zero_points.size(), 1u);
  EXPECT_EQ(q.zero_points[0], 0);  // row 0's nibble: -8 stored as 0
}

TEST(RtnLayout, ZeroPointsArePackedAlongRows) {
  // Row r holds values in [-r, 15 - r] / 8: zero point r - 8, stored as r.
  std::vector<float> weights;
  for (int r = 0; r < 10; ++r) {
    for (int i = 0; i < 32; ++i) weights.push_back(0.125f * static_cast<float>(i % 16 - r));
  }
  const auto q = quantize_rtn(weights, 10, 32, {.bits = 4, .group_size = 32});
  ASSERT_EQ(q.zero_points.size(), 2u);
  EXPECT_EQ(static_cast<uint32_t>(q.zero_points[0]), 0x76543210u);
  EXPECT_EQ(static_cast<uint32_t>(q.zero_points[1]), 0x98u);
}

TEST(RtnLayout, SymmetricCodesStandAroundEight) {
  const std::vector<float> row = {-1, 1, 0.5f, -0.5f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                  0,  0, 0,    0,     0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const auto q = quantize_rtn(row, 1, 32, {.bits = 4, .group_size = 32, .symmetric = true});
  EXPECT_EQ(static_cast<uint32_t>(q.packed[0]), 0x88884CF1u);  // -7 7 4 -4 0 0 0 0, each plus 8
  EXPECT_TRUE(q.zero_points.empty());
}

TEST(RtnEdges, ZeroTinyAndConstantGroups) {
  const QuantizeOptions options{.bits = 4, .group_size = 32};
  for (const float value : {0.0f, 1e-30f, -1e-30f, 1e-42f, 3.25f, -3.25f, 1e30f}) {
    const std::vector<float> row(32, value);
    const auto decoded = decode(quantize_rtn(row, 1, 32, options), options, kernels::DType::kBF16);
    EXPECT_NEAR(decoded[0], value, std::fabs(value) * 0.01 + 1e-38) << value;
  }
  // Below the smallest half: decodes to zero, not to NaN.
  const std::vector<float> tiny(32, 1e-12f);
  EXPECT_NEAR(decode(quantize_rtn(tiny, 1, 32, options, kernels::DType::kF16), options, kernels::DType::kF16)[5], 0,
              1e-7);
}

TEST(Options, WhatThisBuildDoesNotDoIsUsage) {
  EXPECT_TRUE(check_options({}));
  EXPECT_TRUE(check_options({.bits = 8, .group_size = 0}));
  EXPECT_TRUE(check_options({.bits = 8, .group_size = 64}));
  for (const auto& options :
       {QuantizeOptions{.bits = 3}, QuantizeOptions{.group_size = 0}, QuantizeOptions{.group_size = 100},
        QuantizeOptions{.group_size = -1}, QuantizeOptions{.method = "gptq"}}) {
    const auto result = check_options(options);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kUsage);
    EXPECT_NE(result.error().message.find("--"), std::string::npos) << result.error().message;
    EXPECT_FALSE(result.error().hint.empty());
  }
}

}  // namespace
}  // namespace mhub::quantize
