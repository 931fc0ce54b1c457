// SPDX-License-Identifier: Apache-2.0
#include "prefix_cache.h"

#include <gtest/gtest.h>

namespace mhub::sched {
namespace {

using Tokens = std::vector<TokenId>;
using Blocks = std::vector<BlockId>;

// Every case runs with the real hash and with one that makes all keys collide.
class PrefixCacheTest : public testing::TestWithParam<bool> {
 protected:
  PrefixCache cache{16, 2, 42,
                    GetParam() ? BlockHash([](uint64_t, std::span<const TokenId>) { return 7u; }) : BlockHash()};
};
INSTANTIATE_TEST_SUITE_P(Hashes, PrefixCacheTest, testing::Bool(),
                         [](const auto& instance) { return instance.param ? "AllCollide" : "BuiltIn"; });

TEST_P(PrefixCacheTest, FindsTheLongestPrefixOfFullBlocks) {
  EXPECT_EQ(cache.insert("", std::nullopt, Tokens{1, 2}, 5), 5);
  EXPECT_EQ(cache.insert("", 5, Tokens{3, 4}, 9), 9);
  EXPECT_EQ(cache.find("", Tokens{1, 2, 3, 4, 5}, 9), (Blocks{5, 9}));
  EXPECT_EQ(cache.find("", Tokens{1, 2, 3, 4}, 1), Blocks{5});
  EXPECT_EQ(cache.find("", Tokens{1, 2, 3}, 9), Blocks{5});
  EXPECT_EQ(cache.find("", Tokens{1, 2, 3, 9}, 9), Blocks{5});
  EXPECT_EQ(cache.find("", Tokens{3, 4}, 9), Blocks{});  // known only after 1, 2
}

TEST_P(PrefixCacheTest, EqualTokensAfterDifferentPrefixesAreDifferentBlocks) {
  cache.insert("", std::nullopt, Tokens{1, 2}, 0);
  cache.insert("", std::nullopt, Tokens{3, 4}, 1);
  EXPECT_EQ(cache.insert("", 0, Tokens{5, 6}, 2), 2);
  EXPECT_EQ(cache.insert("", 1, Tokens{5, 6}, 3), 3);
  EXPECT_EQ(cache.find("", Tokens{1, 2, 5, 6}, 9), (Blocks{0, 2}));
  EXPECT_EQ(cache.find("", Tokens{3, 4, 5, 6}, 9), (Blocks{1, 3}));
}

TEST_P(PrefixCacheTest, ScopesDoNotSeeEachOther) {
  cache.insert("a", std::nullopt, Tokens{1, 2}, 0);
  EXPECT_EQ(cache.find("b", Tokens{1, 2}, 9), Blocks{});
  EXPECT_EQ(cache.find("", Tokens{1, 2}, 9), Blocks{});
  EXPECT_EQ(cache.insert("b", std::nullopt, Tokens{1, 2}, 1), 1);
  EXPECT_EQ(cache.find("a", Tokens{1, 2}, 9), Blocks{0});
  EXPECT_EQ(cache.find("b", Tokens{1, 2}, 9), Blocks{1});
}

TEST_P(PrefixCacheTest, TheFirstBlockOfAPlaceStays) {
  cache.insert("", std::nullopt, Tokens{1, 2}, 0);
  EXPECT_EQ(cache.insert("", std::nullopt, Tokens{1, 2}, 1), 0);
  EXPECT_FALSE(cache.knows(1));
}

TEST_P(PrefixCacheTest, WhatHungBelowAForgottenBlockIsUnreachableForGood) {
  cache.insert("", std::nullopt, Tokens{1, 2}, 0);
  cache.insert("", 0, Tokens{3, 4}, 1);
  cache.forget(0);
  EXPECT_EQ(cache.find("", Tokens{1, 2, 3, 4}, 9), Blocks{});
  EXPECT_FALSE(cache.insert("", 0, Tokens{5, 6}, 2));  // its parent is gone
  cache.insert("", std::nullopt, Tokens{9, 9}, 0);     // the block lives on with other content
  EXPECT_EQ(cache.find("", Tokens{9, 9, 3, 4}, 9), Blocks{0});
  cache.forget(1);
  cache.forget(1);
  EXPECT_EQ(cache.size(), 1u);
}

TEST(PrefixCacheHash, DependsOnTheSecret) {
  std::vector<uint64_t> seen;
  const auto record = [&](uint64_t before, std::span<const TokenId>) {
    seen.push_back(before);
    return before;
  };
  for (uint64_t secret : {1u, 2u}) PrefixCache(1, 1, secret, record).find("scope", Tokens{1}, 1);
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_NE(seen[0], seen[1]);
}

}  // namespace
}  // namespace mhub::sched
