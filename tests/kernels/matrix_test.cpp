// SPDX-License-Identifier: Apache-2.0
#include "mhub/kernels/matrix.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/golden_blocks.h"
#include "mhub/kernels/backend.h"
#include "mhub/kernels/half.h"

namespace mhub::kernels {
namespace {

TEST(Dequantize, BlocksMatchTheGgufPackage) {
  for (const golden::BlockCase& c : golden::block_cases()) {
    const DTypeInfo& info = dtype_info(c.dtype);
    const int64_t elems = static_cast<int64_t>(c.bytes.size()) / info.block_bytes * info.block_elems;
    std::vector<float> out(static_cast<size_t>(elems));
    dequantize_rows({.dtype = c.dtype, .rows = 1, .cols = elems, .data = c.bytes.data()}, 0, 1, out.data());
    for (size_t i = 0; i < c.values.size(); ++i)
      ASSERT_EQ(out[i * static_cast<size_t>(c.value_step)], c.values[i]) << info.name << " element " << i;
  }
}

TEST(Dequantize, RowsAreAddressedFromAnUnalignedStart) {
  const auto cases = golden::block_cases();
  const golden::BlockCase& q8 = cases[4];
  ASSERT_EQ(q8.dtype, DType::kQ8_0);
  std::vector<uint8_t> shifted(1);
  shifted.insert(shifted.end(), q8.bytes.begin(), q8.bytes.end());
  std::vector<float> out(64);
  dequantize_rows({.dtype = DType::kQ8_0, .rows = 3, .cols = 32, .data = shifted.data() + 1}, 1, 2, out.data());
  for (size_t i = 0; i < 64; ++i) EXPECT_EQ(out[i], q8.values[32 + i]);
  EXPECT_THROW(
      dequantize_rows({.dtype = DType::kQ8_0, .rows = 3, .cols = 32, .data = shifted.data() + 1}, 2, 2, out.data()),
      BackendError);
}

TEST(Dequantize, GroupsOfFourBitsWithZeroPoints) {
  // Row 0: codes 0..7 (stored) = -8..-1; row 1: codes 8..15 = 0..7. Groups of 4; zeros packed along rows.
  const std::array<uint32_t, 2> words = {0x76543210, 0xfedcba98};
  const std::array<float, 4> scales = {0.5f, 2.0f, 1.0f, 0.25f};
  const std::array<uint32_t, 2> zeros = {0x0000'00A8, 0x0000'006B};  // group 0: rows 0, 2; group 1: rows 3, -2
  MatrixSource source{.dtype = DType::kU4, .rows = 2, .cols = 8, .data = words.data()};
  source.group_size = 4;
  source.scales = scales.data();
  std::array<float, 16> out{};
  dequantize_rows(source, 0, 2, out.data());
  EXPECT_EQ(out, (std::array<float, 16>{-4, -3.5, -3, -2.5, -8, -6, -4, -2, 0, 1, 2, 3, 1, 1.25, 1.5, 1.75}));
  source.zeros = zeros.data();
  dequantize_rows(source, 0, 2, out.data());
  EXPECT_EQ(out, (std::array<float, 16>{-4, -3.5, -3, -2.5, -14, -12, -10, -8, -2, -1, 0, 1, 1.5, 1.75, 2, 2.25}));
}

TEST(Dequantize, Float8WithAGridOfScales) {
  // 1, -1, 448, the smallest subnormal; scales by blocks of 2 rows and 3 columns.
  const std::array<uint8_t, 16> bytes = {0x38, 0xb8, 0x7e, 0x01, 0x38, 0x38, 0x38, 0x38,
                                         0x38, 0x38, 0x38, 0x38, 0x40, 0x38, 0x30, 0x08};
  const std::array<float, 4> scales = {1.0f, 2.0f, 10.0f, 0.5f};
  MatrixSource source{.dtype = DType::kF8E4M3, .rows = 4, .cols = 4, .data = bytes.data()};
  source.group_size = 3;
  source.group_rows = 2;
  source.scales = scales.data();
  std::array<float, 16> out{};
  dequantize_rows(source, 0, 4, out.data());
  EXPECT_EQ(out, (std::array<float, 16>{1, -1, 448, 2 * 0x1p-9f, 1, 1, 1, 2, 10, 10, 10, 0.5f, 20, 10, 5, 0x1p-7f}));
  std::array<float, 8> part{};
  dequantize_rows(source.rows_at(1, 2), 0, 2, part.data());  // keeps its place in the grid
  EXPECT_EQ(part, (std::array<float, 8>{1, 1, 1, 2, 10, 10, 10, 0.5f}));
  const uint8_t nan = 0xff;
  dequantize_rows(
      {.dtype = DType::kF8E4M3, .rows = 1, .cols = 1, .data = &nan, .group_size = 1, .scales = scales.data()}, 0, 1,
      out.data());
  EXPECT_TRUE(std::isnan(out[0]));
}

TEST(Dequantize, EightBitCodesPlainAndPacked) {
  const std::array<int8_t, 5> plain = {-128, -1, 0, 1, 127};
  const std::array<uint32_t, 2> packed = {0x81807f00, 0x000000ff};  // the same values + 128; 3 columns of padding
  const uint16_t scale = 0x3e80;                                    // bfloat16 0.25
  MatrixSource source{.dtype = DType::kI8, .rows = 1, .cols = 5, .data = plain.data()};
  source.group_size = 5;
  source.scales = &scale;
  source.scale_dtype = DType::kBF16;
  const std::array<float, 5> expected = {-32, -0.25, 0, 0.25, 31.75};
  std::array<float, 5> out{};
  dequantize_rows(source, 0, 1, out.data());
  EXPECT_EQ(out, expected);
  source.data = packed.data();
  source.packed_i8 = true;
  out = {};
  dequantize_rows(source, 0, 1, out.data());
  EXPECT_EQ(out, expected);
}

TEST(Dequantize, TypesThatAreNoWeightsAreRefused) {
  float out = 0;
  const int64_t value = 1;
  EXPECT_THROW(dequantize_rows({.dtype = DType::kI64, .rows = 1, .cols = 1, .data = &value}, 0, 1, &out), BackendError);
}

TEST(Half, EveryHalfSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const uint16_t half = static_cast<uint16_t>(bits);
    const bool nan = (bits & 0x7fff) > 0x7c00;
    if (!nan) {
      EXPECT_EQ(f16_from_float(float_from_f16(half)), half);
    } else {
      EXPECT_TRUE(std::isnan(float_from_f16(half)));
    }
    if ((bits & 0x7fff) <= 0x7f80) {
      EXPECT_EQ(bf16_from_float(float_from_bf16(half)), half);
    }
  }
  EXPECT_EQ(float_from_f16(0x3555), 0x1.554p-2f);
  EXPECT_EQ(float_from_f16(0x0001), 0x1p-24f);
}

TEST(Half, NarrowingRoundsToNearestEven) {
  EXPECT_EQ(f16_from_float(1.0f + 0x1p-11f), 0x3c00);  // tie, to even
  EXPECT_EQ(f16_from_float(1.0f + 0x1p-11f + 0x1p-20f), 0x3c01);
  EXPECT_EQ(f16_from_float(65519.0f), 0x7bff);
  EXPECT_EQ(f16_from_float(65520.0f), 0x7c00);
  EXPECT_EQ(f16_from_float(-0x1p-25f), 0x8000);  // tie between 0 and the least subnormal
  EXPECT_EQ(f16_from_float(0x1.8p-25f), 0x0001);
  EXPECT_EQ(f16_from_float(std::numeric_limits<float>::infinity()), 0x7c00);
  EXPECT_TRUE(std::isnan(float_from_f16(f16_from_float(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_EQ(bf16_from_float(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(bf16_from_float(1.0f + 0x1.8p-8f), 0x3f81);
}

}  // namespace
}  // namespace mhub::kernels
