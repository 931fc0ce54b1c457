// SPDX-License-Identifier: Apache-2.0
#include "mhub/base/error.h"

#include <gtest/gtest.h>

namespace mhub {
TEST(Error, TableGivesTheContractsExitCodes) {
  EXPECT_EQ(error_info(ErrorCode::kUsage).exit_code, 2);
  EXPECT_EQ(error_info(ErrorCode::kNetwork).exit_code, 3);
  EXPECT_EQ(error_info(ErrorCode::kIntegrity).exit_code, 4);
  EXPECT_EQ(error_info(ErrorCode::kDisk).exit_code, 5);
  EXPECT_EQ(error_info(ErrorCode::kRegistry).exit_code, 6);
  EXPECT_EQ(error_info(ErrorCode::kBadModel).exit_code, 7);
  EXPECT_EQ(error_info(ErrorCode::kPolicy).exit_code, 8);
  EXPECT_EQ(error_info(ErrorCode::kDevice).exit_code, 9);
  EXPECT_EQ(error_info(ErrorCode::kInterrupted).exit_code, 130);
  EXPECT_EQ(error_info(ErrorCode::kOverloaded).http_status, 429);
}
TEST(Error, OneLineEscapesControlBytes) {
  Error e{ErrorCode::kBadModel, "file a\nb\x1b[31m", "try again", ""};
  EXPECT_EQ(e.one_line(), "file a\\x0ab\\x1b[31m; try again");
}
TEST(Error, PrintableCutsLongText) { EXPECT_EQ(printable(std::string(300, 'x')).size(), 259u); }
}  // namespace mhub
