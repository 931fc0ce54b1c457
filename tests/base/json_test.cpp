// SPDX-License-Identifier: Apache-2.0
#include "mhub/base/json.h"

#include <gtest/gtest.h>

namespace mhub {
TEST(Json, RefusesDuplicateKeysDepthAndTrailingText) {
  EXPECT_FALSE(parse_json(R"({"a":1,"a":2})"));
  EXPECT_FALSE(parse_json("{} x"));
  EXPECT_FALSE(parse_json(""));
  EXPECT_FALSE(parse_json("\"\xff\""));
  const std::string deep = std::string(65, '[') + std::string(65, ']');
  EXPECT_FALSE(parse_json(deep));
  EXPECT_TRUE(parse_json(deep.substr(1, 128)));
  EXPECT_FALSE(parse_json(std::string(1'000'000, '[')));
}
TEST(Json, ErrorNamesTheByte) {
  auto result = parse_json(R"({"a":})");
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("byte 6"), std::string::npos) << result.error().message;
}
TEST(Json, OrderedKeepsKeyOrder) { EXPECT_EQ(dump_json(*parse_ordered_json(R"({"b":1,"a":2})")), R"({"b":1,"a":2})"); }
TEST(Json, DumpReplacesInvalidUtf8) { EXPECT_EQ(dump_json(Json("a\xff")), "\"a\xEF\xBF\xBD\""); }
}  // namespace mhub
