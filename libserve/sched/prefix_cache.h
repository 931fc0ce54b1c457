// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mhub/sched/scheduler.h"

namespace mhub::sched {

// Which full, computed block holds which tokens after which prefix: a forest with one tree per scope. A block is found
// by the chained hash and taken only when its tokens, its place in the tree and its scope are equal too.
class PrefixCache {
 public:
  PrefixCache(int64_t num_blocks, int64_t block_size, uint64_t hash_seed, BlockHash hash);

  // The cached blocks of the longest prefix of `tokens`, at most `max_blocks`.
  std::vector<BlockId> find(std::string_view scope, std::span<const TokenId> tokens, size_t max_blocks) const;
  // Makes `block` known as the one that follows `parent` (nullopt: the first of its scope). Returns the block that
  // already had this place, else `block`; nullopt when the parent is not known (any more).
  std::optional<BlockId> insert(std::string_view scope, std::optional<BlockId> parent, std::span<const TokenId> tokens,
                                BlockId block);
  void forget(BlockId block);
  bool knows(BlockId block) const { return entry(block).node != kNoNode; }
  size_t size() const { return by_hash_.size(); }

 private:
  using NodeId = uint64_t;  // never used twice: what hung below a forgotten block can not be reached again
  static constexpr NodeId kNoNode = 0, kRoot = 1;
  struct Entry {
    NodeId node = kNoNode, parent = kNoNode;
    uint64_t hash = 0;
    std::vector<TokenId> tokens;
    std::string scope;  // of children of the root
  };
  struct Place {  // where a block would hang
    NodeId parent;
    uint64_t hash_before;
  };
  const Entry& entry(BlockId block) const { return entries_.at(static_cast<size_t>(block)); }
  Place root(std::string_view scope) const;
  uint64_t hash_after(const Place& place, std::span<const TokenId> tokens) const;
  std::optional<BlockId> child(const Place& place, std::string_view scope, std::span<const TokenId> tokens,
                               uint64_t hash) const;

  size_t block_size_;
  uint64_t hash_seed_;
  BlockHash hash_;
  NodeId next_node_ = kRoot + 1;
  std::vector<Entry> entries_;  // by block
  std::unordered_multimap<uint64_t, BlockId> by_hash_;
};

}  // namespace mhub::sched
