// SPDX-License-Identifier: Apache-2.0
#include "mhub/kernels/dtype.h"

#include <gtest/gtest.h>

namespace mhub::kernels {
namespace {

TEST(DType, NamesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(DType::kU4); ++i) {
    const DTypeInfo& info = dtype_info(static_cast<DType>(i));
    EXPECT_EQ(dtype_from_name(info.name), static_cast<DType>(i)) << info.name;
  }
  EXPECT_EQ(dtype_from_name("BF16"), DType::kBF16);
  EXPECT_EQ(dtype_from_name("F8_E4M3"), DType::kF8E4M3);
  EXPECT_EQ(dtype_from_name("Q4_K"), DType::kQ4_K);
  EXPECT_EQ(dtype_from_name("q4_k"), std::nullopt);
  EXPECT_EQ(dtype_from_name(""), std::nullopt);
}

TEST(DType, RowBytes) {
  EXPECT_EQ(row_bytes(DType::kF32, 3), 12u);
  EXPECT_EQ(row_bytes(DType::kQ4_0, 64), 36u);
  EXPECT_EQ(row_bytes(DType::kQ6_K, 512), 420u);
  EXPECT_EQ(row_bytes(DType::kU4, 6), 3u);
  EXPECT_EQ(row_bytes(DType::kQ4_0, 0), 0u);
  EXPECT_EQ(row_bytes(DType::kQ4_0, 33), std::nullopt);
  EXPECT_EQ(row_bytes(DType::kQ4_K, 576), std::nullopt);
  EXPECT_EQ(row_bytes(DType::kU4, 7), std::nullopt);
  EXPECT_EQ(row_bytes(DType::kF64, UINT64_MAX / 4), std::nullopt);
}

TEST(DType, BlockTypesAreTheGgufOnes) {
  for (int i = 0; i <= static_cast<int>(DType::kU4); ++i) {
    const DTypeInfo& info = dtype_info(static_cast<DType>(i));
    EXPECT_EQ(is_block_type(info.dtype), info.block_elems >= 32) << info.name;
  }
}

}  // namespace
}  // namespace mhub::kernels
