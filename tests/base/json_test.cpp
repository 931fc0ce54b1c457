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
TEST(Json, OrderedKeepsKeyOrder) {
  EXPECT_EQ(dump_json(*parse_ordered_json(R"({"b":1,"a":2})")), R"({"b":1,"a":2})");
}
TEST(Json, OrderedReadsEveryKindOfValueInItsPlace) {
  const std::string text =
      R"({"z":[1,-2,2.5,"s",true,null,[],{}],"a":{"y":{"b":[[{"c":1}],2]},"x":3},"":18446744073709551615})";
  const auto ordered = parse_ordered_json(text);
  ASSERT_TRUE(ordered);
  EXPECT_EQ(dump_json(*ordered), text);
  EXPECT_EQ(*ordered, OrderedJson::parse(text));
  EXPECT_TRUE(ordered->at("z").at(0).is_number_unsigned() && ordered->at("z").at(1).is_number_integer());
  EXPECT_EQ(dump_json(*parse_ordered_json("7")), "7");
  EXPECT_FALSE(parse_ordered_json(R"({"a":{"b":1,"b":2}})"));
  EXPECT_FALSE(parse_ordered_json("[1e999]"));
}
// A search through the members for each key would be 2e11 comparisons.
TEST(Json, OrderedReadsAnObjectOfManyMembers) {
  constexpr size_t kMembers = 700'000;
  std::string text = "{";
  for (size_t i = 0; i < kMembers; ++i) text += '"' + std::to_string(i) + "\":1,";
  text.back() = '}';
  const auto ordered = parse_ordered_json(text, {16u << 20, 4, kMembers + 1});
  ASSERT_TRUE(ordered);
  EXPECT_EQ(ordered->size(), kMembers);
  EXPECT_EQ(std::prev(ordered->end()).key(), std::to_string(kMembers - 1));
}
TEST(Json, DumpReplacesInvalidUtf8) {
  EXPECT_EQ(dump_json(Json("a\xff")), "\"a\xEF\xBF\xBD\"");
}
}  // namespace mhub
