// SPDX-License-Identifier: Apache-2.0
#include "mhub/base/bytes.h"

#include <gtest/gtest.h>

#include <array>

namespace mhub {
TEST(Bytes, ParseBytesTakesDecimalAndBinaryUnits) {
  EXPECT_EQ(parse_bytes("1K"), 1000u);
  EXPECT_EQ(parse_bytes("1Ki"), 1024u);
  EXPECT_EQ(parse_bytes("2G"), 2'000'000'000u);
  EXPECT_EQ(parse_bytes("24GiB"), 24ull << 30);
  EXPECT_EQ(parse_bytes("0.5MiB"), 512u << 10);
  EXPECT_EQ(parse_bytes("17"), 17u);
  for (auto bad : {"", "x", "-1", "1Q", "1KK", "1e30", "nan", "1KiX"}) EXPECT_FALSE(parse_bytes(bad)) << bad;
}
TEST(Bytes, CheckedArithmeticReportsOverflow) {
  EXPECT_FALSE(checked_mul(1ull << 32, 1ull << 32));
  EXPECT_EQ(checked_mul(3, 5), 15u);
  EXPECT_FALSE(checked_add(~0ull, 1));
}
TEST(Bytes, ReaderNeverPassesTheEnd) {
  const std::array<std::byte, 5> data{std::byte{1}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{9}};
  ByteReader reader(data);
  EXPECT_EQ(reader.read<uint32_t>(), 1u);
  EXPECT_FALSE(reader.read<uint16_t>());
  EXPECT_EQ(reader.remaining(), 1u);
  EXPECT_FALSE(reader.read_bytes(2));
  EXPECT_TRUE(reader.read_bytes(1));
}
TEST(Bytes, HumanBytes) {
  EXPECT_EQ(human_bytes(512), "512 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
}
}  // namespace mhub
