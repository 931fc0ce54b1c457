// SPDX-License-Identifier: Apache-2.0
#include "store/extent_hash.h"

#include <gtest/gtest.h>

#include <random>
#include <string_view>

#include "mhub/base/bytes.h"

namespace mhub::hub {
namespace {

uint64_t hash(std::string_view text) {
  return xxh64(std::as_bytes(std::span(text)));
}

// Values of the reference implementation (python-xxhash, seed 0).
TEST(ExtentHash, IsXxh64) {
  EXPECT_EQ(hash(""), 0xEF46DB3751D8E999u);
  EXPECT_EQ(hash("a"), 0xD24EC4F1A98C6E5Bu);
  EXPECT_EQ(hash("abc"), 0x44BC2CF5AD770999u);
  EXPECT_EQ(hash("Nobody inspects the spammish repetition"), 0xFBCEA83C8A378BF1u);
}

TEST(ExtentHash, PiecesOfAnySizeGiveTheHashOfEachExtent) {
  std::mt19937_64 random(7);
  std::vector<std::byte> content(kExtentBytes * 2 + 12345);
  for (auto& byte : content) byte = static_cast<std::byte>(random());
  ExtentHasher hasher;
  for (size_t at = 0; at < content.size();) {
    const size_t take = std::min<size_t>(content.size() - at, random() % 3 == 0 ? random() % 70 : random() % 3'000'000);
    hasher.update(std::span(content).subspan(at, take));
    at += take;
  }
  const std::string hashes = hasher.finish();
  ASSERT_EQ(hashes.size(), 24u);
  for (size_t e = 0; e < 3; ++e) {
    const size_t begin = e * kExtentBytes, end = std::min<size_t>(content.size(), begin + kExtentBytes);
    EXPECT_EQ(load_le<uint64_t>(hashes.data() + 8 * e), xxh64(std::span(content).subspan(begin, end - begin))) << e;
  }
}

TEST(ExtentHash, AnEmptyFileHasNone) {
  EXPECT_EQ(ExtentHasher().finish(), "");
  std::vector<std::byte> one(kExtentBytes);
  ExtentHasher hasher;
  hasher.update(one);
  EXPECT_EQ(hasher.finish().size(), 8u);
}

}  // namespace
}  // namespace mhub::hub
