// SPDX-License-Identifier: Apache-2.0
#include "vocabulary.h"

#include <fmt/format.h>

#include <bit>

namespace mhub::text {

void Vocabulary::reserve(size_t count, size_t bytes) {
  arena_.reserve(bytes);
  entries_.reserve(count);
  grow_index(std::bit_ceil(count * 2 + 16));
}

void Vocabulary::grow_index(size_t slots) {
  if (slots <= index_.size()) return;
  index_.assign(slots, {});
  for (size_t id = 0; id < entries_.size(); ++id) {
    if (entries_[id].used) insert(static_cast<TokenId>(id), hash_bytes(text(static_cast<TokenId>(id))));
  }
}

void Vocabulary::insert(TokenId id, uint64_t hash) {
  const size_t mask = index_.size() - 1;
  size_t slot = hash & mask;
  while (index_[slot].id != kNoToken) slot = (slot + 1) & mask;
  index_[slot] = {static_cast<uint32_t>(hash >> 32), id};
}

Result<void> Vocabulary::add(TokenId id, std::string_view text, size_t limit) {
  const auto bad = [&](std::string_view what) {
    return Error{ErrorCode::kBadModel,
                 fmt::format("reading the vocabulary: token \"{}\" with id {} {}", printable(text, 40), id, what),
                 "the tokenizer file is damaged; download it again", ""};
  };
  if (id < 0 || static_cast<size_t>(id) >= std::min(limit, kMaxVocabulary)) return bad("is out of range");
  if (text.size() > kMaxTokenBytes) return bad("is over 64 KiB");
  if (arena_.size() + text.size() > UINT32_MAX) return bad("makes the vocabulary larger than 4 GiB");
  if (contains(id)) return bad(fmt::format("shares the id with \"{}\"", printable(this->text(id), 40)));
  if (count_ * 2 + 2 > index_.size()) grow_index(std::max<size_t>(16, index_.size() * 2));
  if (find(text) != kNoToken) return bad("occurs twice");
  const auto slot = static_cast<size_t>(id);
  if (slot >= entries_.size()) entries_.resize(slot + 1);
  entries_[slot].offset = static_cast<uint32_t>(arena_.size());
  entries_[slot].length = static_cast<uint32_t>(text.size()) & 0x7FFFFFFF;
  entries_[slot].used = 1;
  arena_.append(text);
  ++count_;
  insert(id, hash_bytes(text));
  return {};
}

TokenId Vocabulary::find(std::string_view wanted) const {
  if (index_.empty()) return kNoToken;
  const uint64_t hash = hash_bytes(wanted);
  const auto tag = static_cast<uint32_t>(hash >> 32);
  const size_t mask = index_.size() - 1;
  for (size_t slot = hash & mask; index_[slot].id != kNoToken; slot = (slot + 1) & mask) {
    if (index_[slot].tag == tag && text(index_[slot].id) == wanted) return index_[slot].id;
  }
  return kNoToken;
}

}  // namespace mhub::text
