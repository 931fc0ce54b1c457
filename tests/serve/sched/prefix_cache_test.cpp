// SPDX-License-Identifier: Apache-2.0
#include "prefix_cache.h"

#include <gtest/gtest.h>

namespace mhub::sched {
namespace {

using Tokens = std::vector<TokenId>;
using Blocks = std::vector<BlockId>;
using NodeId = PrefixCache::NodeId;
constexpr NodeId kRoot = PrefixCache::kRoot, kNoNode = PrefixCache::kNoNode;

// Every case runs with the real hash and with one that makes all keys collide.
class PrefixCacheTest : public testing::TestWithParam<bool> {
 protected:
  static PrefixCache make(std::vector<int64_t> windows) {
    return {16, 2, std::move(windows), 42,
            GetParam() ? BlockHash([](uint64_t, std::span<const TokenId>) { return 7u; }) : BlockHash()};
  }
  NodeId insert(const char* scope, NodeId parent, const Tokens& tokens, BlockId block) {
    Blocks blocks = {block};
    return cache.insert(scope, parent, tokens, blocks);
  }
  Blocks find(const char* scope, const Tokens& tokens, size_t most = 9) const {
    const auto found = cache.find(scope, tokens, most);
    EXPECT_EQ(found.tables.at(0).size(), found.size);
    return found.tables[0];
  }
  PrefixCache cache = make({0});
};
INSTANTIATE_TEST_SUITE_P(Hashes, PrefixCacheTest, testing::Bool(),
                         [](const auto& instance) { return instance.param ? "AllCollide" : "BuiltIn"; });

TEST_P(PrefixCacheTest, FindsTheLongestPrefixOfFullBlocks) {
  const NodeId first = insert("", kRoot, {1, 2}, 5);
  const NodeId second = insert("", first, {3, 4}, 9);
  EXPECT_EQ(find("", {1, 2, 3, 4, 5}), (Blocks{5, 9}));
  EXPECT_EQ(cache.find("", Tokens{1, 2, 3, 4, 5}, 9).last, second);
  EXPECT_EQ(find("", {1, 2, 3, 4}, 1), Blocks{5});
  EXPECT_EQ(find("", {1, 2, 3}), Blocks{5});
  EXPECT_EQ(find("", {1, 2, 3, 9}), Blocks{5});
  EXPECT_EQ(find("", {3, 4}), Blocks{});  // known only after 1, 2
  EXPECT_EQ(cache.find("", Tokens{3, 4}, 9).last, kRoot);
}

TEST_P(PrefixCacheTest, EqualTokensAfterDifferentPrefixesAreDifferentBlocks) {
  const NodeId a = insert("", kRoot, {1, 2}, 0), b = insert("", kRoot, {3, 4}, 1);
  insert("", a, {5, 6}, 2);
  insert("", b, {5, 6}, 3);
  EXPECT_EQ(find("", {1, 2, 5, 6}), (Blocks{0, 2}));
  EXPECT_EQ(find("", {3, 4, 5, 6}), (Blocks{1, 3}));
}

TEST_P(PrefixCacheTest, ScopesDoNotSeeEachOther) {
  insert("a", kRoot, {1, 2}, 0);
  EXPECT_EQ(find("b", {1, 2}), Blocks{});
  EXPECT_EQ(find("", {1, 2}), Blocks{});
  insert("b", kRoot, {1, 2}, 1);
  EXPECT_EQ(find("a", {1, 2}), Blocks{0});
  EXPECT_EQ(find("b", {1, 2}), Blocks{1});
}

TEST_P(PrefixCacheTest, TheFirstBlockOfAPlaceStays) {
  const NodeId node = insert("", kRoot, {1, 2}, 0);
  Blocks later = {1};
  EXPECT_EQ(cache.insert("", kRoot, Tokens{1, 2}, later), node);
  EXPECT_EQ(later, Blocks{0});
  EXPECT_FALSE(cache.knows(1));
}

TEST_P(PrefixCacheTest, AForgottenBlockIsAGapUntilItIsComputedAgain) {
  const NodeId first = insert("", kRoot, {1, 2}, 0);
  insert("", first, {3, 4}, 1);
  cache.forget(0);
  EXPECT_EQ(find("", {1, 2, 3, 4}), Blocks{});
  insert("", kRoot, {9, 9}, 0);  // the block lives on with other content
  EXPECT_EQ(find("", {9, 9, 3, 4}), Blocks{0});
  EXPECT_EQ(insert("", kRoot, {1, 2}, 2), first);
  EXPECT_EQ(find("", {1, 2, 3, 4}), (Blocks{2, 1}));
}

TEST_P(PrefixCacheTest, NodesEndWithTheirLastBlockAndChildAndNeverComeBack) {
  const NodeId first = insert("", kRoot, {1, 2}, 0), second = insert("", first, {3, 4}, 1);
  cache.forget(0);
  EXPECT_EQ(cache.num_nodes(), 2u);
  cache.forget(1);
  cache.forget(1);
  EXPECT_EQ(cache.num_nodes(), 0u);
  EXPECT_EQ(cache.size(), 0u);
  Blocks blocks = {2};
  EXPECT_EQ(cache.insert("", second, Tokens{5, 6}, blocks), kNoNode);
  EXPECT_NE(insert("", kRoot, {1, 2}, 0), first);
}

// A window of 3 positions over blocks of 2: the position after a full block sees that block.
TEST_P(PrefixCacheTest, AWindowNeedsOnlyTheLastBlocks) {
  PrefixCache both = make({0, 3});
  NodeId node = kRoot;
  for (BlockId b = 0; b < 4; ++b) {
    Blocks blocks = {b, static_cast<BlockId>(8 + b)};
    node = both.insert("", node, Tokens{b, b}, blocks);
  }
  const Tokens tokens = {0, 0, 1, 1, 2, 2, 3, 3, 9};
  EXPECT_EQ(both.find("", tokens, 9).tables, (std::vector<Blocks>{{0, 1, 2, 3}, {kNoBlock, kNoBlock, kNoBlock, 11}}));
  for (const BlockId gone : {8, 9}) both.forget(gone);
  EXPECT_EQ(both.find("", tokens, 9).size, 4u);
  both.forget(11);  // the third block's end is the last place to go on from
  EXPECT_EQ(both.find("", tokens, 9).tables, (std::vector<Blocks>{{0, 1, 2}, {kNoBlock, kNoBlock, 10}}));
  both.forget(10);
  EXPECT_EQ(both.find("", tokens, 9).size, 0u);
}

TEST_P(PrefixCacheTest, WindowsAloneReachBehindForgottenBlocks) {
  PrefixCache windows = make({3});
  NodeId node = kRoot;
  for (BlockId b = 0; b < 4; ++b) {
    Blocks blocks = {b};
    node = windows.insert("", node, Tokens{b, b}, blocks);
  }
  for (const BlockId gone : {0, 1, 2}) windows.forget(gone);
  EXPECT_EQ(windows.size(), 1u);
  EXPECT_EQ(windows.num_nodes(), 4u);
  const auto found = windows.find("", Tokens{0, 0, 1, 1, 2, 2, 3, 3, 9}, 9);
  EXPECT_EQ(found.tables, (std::vector<Blocks>{{kNoBlock, kNoBlock, kNoBlock, 3}}));
  EXPECT_EQ(found.last, node);
}

TEST_P(PrefixCacheTest, NodesWithoutBlocksAreBounded) {
  PrefixCache windows = make({1});  // 16 blocks
  NodeId node = kRoot;
  int length = 0;
  for (; length < 1000; ++length) {
    Blocks blocks = {static_cast<BlockId>(length % 2)};
    windows.forget(blocks[0]);
    const NodeId next = windows.insert("", node, Tokens{length, length}, blocks);
    if (next == kNoNode) break;
    node = next;
  }
  EXPECT_EQ(length, 64);
  windows.forget(0);
  windows.forget(1);
  EXPECT_EQ(windows.num_nodes(), 0u);
}

TEST(PrefixCacheHash, DependsOnTheSecret) {
  std::vector<uint64_t> seen;
  const auto record = [&](uint64_t before, std::span<const TokenId>) {
    seen.push_back(before);
    return before;
  };
  for (uint64_t secret : {1u, 2u}) PrefixCache(1, 1, {0}, secret, record).find("scope", Tokens{1}, 1);
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_NE(seen[0], seen[1]);
}

}  // namespace
}  // namespace mhub::sched
