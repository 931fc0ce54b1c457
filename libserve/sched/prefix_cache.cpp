// SPDX-License-Identifier: Apache-2.0
#include "prefix_cache.h"

#include <algorithm>

#include "mhub/base/check.h"

namespace mhub::sched {
namespace {

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

PrefixCache::PrefixCache(int64_t num_blocks, int64_t block_size, uint64_t hash_seed, BlockHash hash)
    : block_size_(static_cast<size_t>(block_size)),
      hash_seed_(hash_seed),
      hash_(hash ? std::move(hash) : BlockHash(mix_tokens)),
      entries_(static_cast<size_t>(num_blocks)) {
  by_hash_.reserve(entries_.size());
}

PrefixCache::Place PrefixCache::root(std::string_view scope) const {
  uint64_t hash = mix(hash_seed_, scope.size());
  for (const char c : scope) hash = mix(hash, static_cast<uint8_t>(c));
  return {kRoot, hash};
}

uint64_t PrefixCache::hash_after(const Place& place, std::span<const TokenId> tokens) const {
  return hash_(place.hash_before, tokens);
}

std::optional<BlockId> PrefixCache::child(const Place& place, std::string_view scope, std::span<const TokenId> tokens,
                                          uint64_t hash) const {
  const auto [first, last] = by_hash_.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    const Entry& candidate = entry(it->second);
    if (candidate.parent == place.parent && (place.parent != kRoot || candidate.scope == scope) &&
        std::equal(tokens.begin(), tokens.end(), candidate.tokens.begin(), candidate.tokens.end())) {
      return it->second;
    }
  }
  return std::nullopt;
}

std::vector<BlockId> PrefixCache::find(std::string_view scope, std::span<const TokenId> tokens,
                                       size_t max_blocks) const {
  std::vector<BlockId> found;
  Place place = root(scope);
  while (found.size() < max_blocks && (found.size() + 1) * block_size_ <= tokens.size()) {
    const auto content = tokens.subspan(found.size() * block_size_, block_size_);
    const uint64_t hash = hash_after(place, content);
    const auto block = child(place, scope, content, hash);
    if (!block) break;
    found.push_back(*block);
    place = {entry(*block).node, hash};
  }
  return found;
}

std::optional<BlockId> PrefixCache::insert(std::string_view scope, std::optional<BlockId> parent,
                                           std::span<const TokenId> tokens, BlockId block) {
  MHUB_CHECK(tokens.size() == block_size_ && !knows(block));
  if (parent && !knows(*parent)) return std::nullopt;
  const Place place = parent ? Place{entry(*parent).node, entry(*parent).hash} : root(scope);
  const uint64_t hash = hash_after(place, tokens);
  if (const auto present = child(place, scope, tokens, hash)) return present;
  Entry& added = entries_[static_cast<size_t>(block)];
  added.node = next_node_++;
  added.parent = place.parent;
  added.hash = hash;
  added.tokens.assign(tokens.begin(), tokens.end());
  added.scope.assign(parent ? std::string_view() : scope);
  by_hash_.emplace(hash, block);
  return block;
}

void PrefixCache::forget(BlockId block) {
  if (!knows(block)) return;
  const auto [first, last] = by_hash_.equal_range(entry(block).hash);
  const auto found = std::find_if(first, last, [&](const auto& item) { return item.second == block; });
  MHUB_CHECK(found != last);
  by_hash_.erase(found);
  entries_[static_cast<size_t>(block)].node = kNoNode;
}

}  // namespace mhub::sched
