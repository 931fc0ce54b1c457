// SPDX-License-Identifier: Apache-2.0
#include "prefix_cache.h"

#include <algorithm>

#include "mhub/base/check.h"
#include "mhub/base/kv_blocks.h"

namespace mhub::sched {
namespace {

constexpr size_t kNodesPerBlock = 4;  // bounds the nodes that have no block of their own

// One round of splitmix64's finalizer.
uint64_t mix(uint64_t before, uint64_t value) {
  uint64_t x = (before ^ value) + 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t mix_tokens(uint64_t before, std::span<const TokenId> tokens) {
  for (const TokenId token : tokens) before = mix(before, static_cast<uint32_t>(token));
  return before;
}

}  // namespace

PrefixCache::PrefixCache(int64_t num_blocks, int64_t block_size, std::vector<int64_t> windows, uint64_t hash_seed,
                         BlockHash hash)
    : block_size_(static_cast<size_t>(block_size)),
      windows_(std::move(windows)),
      hash_seed_(hash_seed),
      hash_(hash ? std::move(hash) : BlockHash(mix_tokens)),
      max_nodes_(kNodesPerBlock * static_cast<size_t>(num_blocks)),
      places_(static_cast<size_t>(num_blocks)) {
  by_hash_.reserve(places_.size());
}

const PrefixCache::Node* PrefixCache::node(NodeId id) const {
  const size_t slot = slot_of(id);
  return id > kRoot && slot < nodes_.size() && nodes_[slot].id == id ? &nodes_[slot] : nullptr;
}

uint64_t PrefixCache::root_hash(std::string_view scope) const {
  uint64_t hash = mix(hash_seed_, scope.size());
  for (const char c : scope) hash = mix(hash, static_cast<uint8_t>(c));
  return hash;
}

PrefixCache::NodeId PrefixCache::child(NodeId parent, std::string_view scope, std::span<const TokenId> tokens,
                                       uint64_t hash) const {
  const auto [first, last] = by_hash_.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    const Node& candidate = *node(it->second);
    if (candidate.parent == parent && (parent != kRoot || candidate.scope == scope) &&
        std::equal(tokens.begin(), tokens.end(), candidate.tokens.begin(), candidate.tokens.end())) {
      return candidate.id;
    }
  }
  return kNoNode;
}

PrefixCache::Prefix PrefixCache::find(std::string_view scope, std::span<const TokenId> tokens,
                                      size_t max_blocks) const {
  std::vector<const Node*> path;
  std::vector<size_t> runs;  // blocks that a group has in a row, up to the last node
  runs.resize(windows_.size());  // GCC 12 at -O3 sees a wrong delete if the constructor does it
  size_t usable = 0;
  NodeId parent = kRoot;
  for (uint64_t hash = root_hash(scope);
       path.size() < max_blocks && (path.size() + 1) * block_size_ <= tokens.size();) {
    const auto content = tokens.subspan(path.size() * block_size_, block_size_);
    hash = hash_(hash, content);
    parent = child(parent, scope, content, hash);
    if (parent == kNoNode) break;
    path.push_back(node(parent));
    bool goes_on = true;
    for (size_t g = 0; g < windows_.size(); ++g) {
      runs[g] = path.back()->blocks[g] == kNoBlock ? 0 : runs[g] + 1;
      goes_on = goes_on && runs[g] >= path.size() - first_seen(g, path.size());
    }
    if (goes_on) usable = path.size();
  }
  Prefix found;
  found.size = usable;
  found.tables.resize(windows_.size());
  if (usable > 0) found.last = path[usable - 1]->id;
  for (size_t g = 0; g < windows_.size(); ++g) {
    found.tables[g].assign(usable, kNoBlock);
    for (size_t i = first_seen(g, usable); i < usable; ++i) found.tables[g][i] = path[i]->blocks[g];
  }
  return found;
}

std::vector<BlockId> PrefixCache::known_along(std::string_view scope, std::span<const TokenId> tokens) const {
  std::vector<BlockId> known;
  uint64_t hash = root_hash(scope);
  for (NodeId parent = kRoot; tokens.size() >= block_size_; tokens = tokens.subspan(block_size_)) {
    hash = hash_(hash, tokens.first(block_size_));
    parent = child(parent, scope, tokens.first(block_size_), hash);
    if (parent == kNoNode) break;
    for (const BlockId block : node(parent)->blocks) {
      if (block != kNoBlock) known.push_back(block);
    }
  }
  return known;
}

// First block that the position after `blocks` full ones sees in a group.
size_t PrefixCache::first_seen(size_t group, size_t blocks) const {
  const auto size = static_cast<int64_t>(block_size_);
  return static_cast<size_t>(first_visible_block(windows_[group], static_cast<int64_t>(blocks) * size, size));
}

PrefixCache::NodeId PrefixCache::make_node(NodeId parent, std::string_view scope, std::span<const TokenId> tokens,
                                           uint64_t hash) {
  if (by_hash_.size() >= max_nodes_) return kNoNode;
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<uint32_t>(nodes_.size()));
    nodes_.emplace_back();
  }
  const uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  Node& made = nodes_[slot];
  made.id = uint64_t{++made.generation} << 32 | slot;
  made.parent = parent;
  made.hash = hash;
  made.tokens.assign(tokens.begin(), tokens.end());
  made.scope.assign(parent == kRoot ? scope : std::string_view());
  made.blocks.assign(windows_.size(), kNoBlock);
  made.num_blocks = made.num_children = 0;
  if (parent != kRoot) ++nodes_[slot_of(parent)].num_children;
  by_hash_.emplace(hash, made.id);
  return made.id;
}

PrefixCache::NodeId PrefixCache::insert(std::string_view scope, NodeId parent, std::span<const TokenId> tokens,
                                        std::span<BlockId> blocks) {
  MHUB_CHECK(tokens.size() == block_size_ && blocks.size() == windows_.size());
  if (parent != kRoot && !node(parent)) return kNoNode;
  const uint64_t hash = hash_(parent == kRoot ? root_hash(scope) : node(parent)->hash, tokens);
  NodeId id = child(parent, scope, tokens, hash);
  if (id == kNoNode) id = make_node(parent, scope, tokens, hash);
  if (id == kNoNode) return kNoNode;
  Node& at = nodes_[slot_of(id)];
  for (size_t g = 0; g < blocks.size(); ++g) {
    if (blocks[g] == kNoBlock) continue;
    if (at.blocks[g] == kNoBlock) {
      MHUB_CHECK(!knows(blocks[g]));
      places_[static_cast<size_t>(blocks[g])] = {id, g};
      at.blocks[g] = blocks[g];
      ++at.num_blocks;
      ++num_known_;
    }
    blocks[g] = at.blocks[g];
  }
  remove_if_dead(id);
  return node(id) ? id : kNoNode;
}

void PrefixCache::forget(BlockId block) {
  Place& place = places_[static_cast<size_t>(block)];
  if (place.node == kNoNode) return;
  Node& at = nodes_[slot_of(place.node)];
  at.blocks[place.group] = kNoBlock;
  --at.num_blocks;
  --num_known_;
  remove_if_dead(std::exchange(place, Place{}).node);
}

// A node lives as long as it has a block or a child.
void PrefixCache::remove_if_dead(NodeId id) {
  while (id != kRoot) {
    Node& dead = nodes_[slot_of(id)];
    if (dead.num_blocks > 0 || dead.num_children > 0) return;
    const auto [first, last] = by_hash_.equal_range(dead.hash);
    const auto found = std::find_if(first, last, [&](const auto& item) { return item.second == id; });
    MHUB_CHECK(found != last);
    by_hash_.erase(found);
    free_slots_.push_back(static_cast<uint32_t>(slot_of(id)));
    dead.id = kNoNode;
    id = dead.parent;
    if (id != kRoot) --nodes_[slot_of(id)].num_children;
  }
}

}  // namespace mhub::sched
