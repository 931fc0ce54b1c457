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

// Which full, computed blocks hold which tokens after which prefix: a forest with one tree per scope. A node is a full
// block of tokens after those of its parents; it has a block in each group of layers whose keys and values are still in
// memory. A node is found by the chained hash and taken only when its tokens, its parent and its scope are equal too.
class PrefixCache {
 public:
  using NodeId = uint64_t;  // never used twice
  static constexpr NodeId kNoNode = 0, kRoot = 1;

  // `windows`: of the groups of layers (mhub/base/kv_blocks.h).
  PrefixCache(int64_t num_blocks, int64_t block_size, std::vector<int64_t> windows, uint64_t hash_seed, BlockHash hash);

  struct Prefix {
    size_t size = 0;                           // in blocks of tokens
    std::vector<std::vector<BlockId>> tables;  // by group, each of `size`: kNoBlock where the window has passed
    NodeId last = kRoot;
  };
  // The longest prefix of `tokens`, at most `max_blocks`, after which a sequence can go on: every group has the blocks
  // that the next position sees.
  Prefix find(std::string_view scope, std::span<const TokenId> tokens, size_t max_blocks) const;
  // Makes blocks[group] known as what holds `tokens` after `parent` in each group where it is not kNoBlock. A block
  // that is known there already stays, and replaces the one given. Returns the node; kNoNode when the parent is not
  // known (any more).
  NodeId insert(std::string_view scope, NodeId parent, std::span<const TokenId> tokens, std::span<BlockId> blocks);
  void forget(BlockId block);
  // All that is known of `tokens`, in every group.
  std::vector<BlockId> known_along(std::string_view scope, std::span<const TokenId> tokens) const;
  bool knows(BlockId block) const { return places_[static_cast<size_t>(block)].node != kNoNode; }
  size_t size() const { return num_known_; }            // known blocks
  size_t num_nodes() const { return by_hash_.size(); }  // with blocks, or on the way to one with blocks

 private:
  struct Node {
    NodeId id = kNoNode, parent = kNoNode;
    uint64_t hash = 0;
    std::vector<TokenId> tokens;
    std::string scope;            // of children of the root
    std::vector<BlockId> blocks;  // by group
    size_t num_blocks = 0, num_children = 0;
    uint32_t generation = 0;  // of the slot
  };
  struct Place {  // of a block
    NodeId node = kNoNode;
    size_t group = 0;
  };
  static size_t slot_of(NodeId id) { return static_cast<uint32_t>(id); }
  const Node* node(NodeId id) const;
  size_t first_seen(size_t group, size_t blocks) const;
  uint64_t root_hash(std::string_view scope) const;
  NodeId child(NodeId parent, std::string_view scope, std::span<const TokenId> tokens, uint64_t hash) const;
  NodeId make_node(NodeId parent, std::string_view scope, std::span<const TokenId> tokens, uint64_t hash);
  void remove_if_dead(NodeId id);

  size_t block_size_;
  std::vector<int64_t> windows_;
  uint64_t hash_seed_;
  BlockHash hash_;
  size_t max_nodes_;
  size_t num_known_ = 0;
  std::vector<Node> nodes_;  // by slot
  std::vector<uint32_t> free_slots_;
  std::vector<Place> places_;  // by block
  std::unordered_multimap<uint64_t, NodeId> by_hash_;
};

}  // namespace mhub::sched
