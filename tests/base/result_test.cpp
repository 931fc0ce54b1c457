// SPDX-License-Identifier: Apache-2.0
#include "mhub/base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace mhub {
namespace {
Result<int> half(int n) {
  if (n % 2) return Error{ErrorCode::kUsage, "odd", "", ""};
  return n / 2;
}
Result<int> quarter(int n) {
  MHUB_TRY(const int h, half(n));
  return half(h);
}
Result<void> even(int n) {
  MHUB_CHECK_OK(half(n));
  return {};
}
}  // namespace
TEST(Result, TryPassesTheErrorUp) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).error().message, "odd");
  EXPECT_FALSE(even(3));
  EXPECT_TRUE(even(4));
}
TEST(Result, HoldsMoveOnlyValues) {
  Result<std::unique_ptr<int>> r = std::make_unique<int>(3);
  std::unique_ptr<int> p = *std::move(r);
  EXPECT_EQ(*p, 3);
}
}  // namespace mhub
