// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/text/tokenizer.h"

namespace mhub::text {

inline constexpr TokenId kNoToken = -1;
inline constexpr size_t kMaxVocabulary = 2'000'000;
inline constexpr size_t kMaxTokenBytes = 64 * 1024;

inline uint64_t hash_bytes(std::string_view bytes) {
  constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15ull;
  uint64_t h = bytes.size() * kMultiplier;
  const char* p = bytes.data();
  size_t n = bytes.size();
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    h = (h ^ word) * kMultiplier;
    h ^= h >> 29;
  }
  uint64_t tail = 0;
  std::memcpy(&tail, p, n);
  h = (h ^ tail) * kMultiplier;
  return h ^ h >> 32;
}

// Texts and ids of a vocabulary: one arena for all texts, one open-addressing index from text to id.
class Vocabulary {
 public:
  // Room for `count` texts of `bytes` bytes in all.
  void reserve(size_t count, size_t bytes);
  // Errors (kBadModel): id out of 0..limit-1, id or text taken, text too long.
  Result<void> add(TokenId id, std::string_view text, size_t limit);

  TokenId find(std::string_view text) const;  // kNoToken when absent
  std::string_view text(TokenId id) const {
    if (id < 0 || static_cast<size_t>(id) >= entries_.size()) return {};
    const Entry& e = entries_[static_cast<size_t>(id)];
    return std::string_view(arena_).substr(e.offset, e.length);
  }
  bool contains(TokenId id) const {
    return id >= 0 && static_cast<size_t>(id) < entries_.size() && entries_[static_cast<size_t>(id)].used;
  }
  // Highest id + 1.
  size_t size() const { return entries_.size(); }
  size_t count() const { return count_; }

 private:
  struct Entry {
    uint32_t offset = 0;
    uint32_t length : 31 = 0;
    uint32_t used : 1 = 0;
  };
  struct Slot {
    uint32_t tag = 0;
    TokenId id = kNoToken;
  };
  void grow_index(size_t slots);
  void insert(TokenId id, uint64_t hash);

  std::string arena_;
  std::vector<Entry> entries_;
  std::vector<Slot> index_;  // size is a power of two
  size_t count_ = 0;
};

}  // namespace mhub::text
