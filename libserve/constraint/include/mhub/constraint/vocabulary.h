// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mhub::constraint {

// What each token adds to a text, packed: token i is bytes[ends[i - 1], ends[i]). Nothing for tokens that are not text.
struct TokenTexts {
  std::string bytes;
  std::vector<uint32_t> ends;

  void add(std::string_view text);
  size_t size() const { return ends.size(); }
  std::string_view operator[](size_t token) const;
  bool operator==(const TokenTexts&) const = default;
  // Whether `ends` cuts `bytes` into pieces.
  bool valid() const;
};

// Token texts in the order of their bytes, so that a walk shares what neighbours have in common.
class SortedTokens {
 public:
  explicit SortedTokens(const TokenTexts& texts);  // outlives this
  size_t size() const { return ids_.size(); }
  int32_t id(size_t place) const { return ids_[place]; }
  std::string_view text(size_t place) const { return texts_[static_cast<size_t>(ids_[place])]; }
  // Bytes in common with the text before; 0 for the first.
  uint32_t shared(size_t place) const { return shared_[place]; }
  size_t longest() const { return longest_; }

 private:
  const TokenTexts& texts_;
  std::vector<int32_t> ids_;
  std::vector<uint32_t> shared_;
  size_t longest_ = 0;
};

// The tokens of a model as a constraint sees them. Immutable.
class Vocabulary {
 public:
  // `first`: the texts where a token begins the answer; empty when they are the same.
  Vocabulary(TokenTexts texts, TokenTexts first);
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;
  size_t size() const { return texts_.size(); }
  std::string_view text(int32_t token, bool first) const;
  const SortedTokens& sorted(bool first) const { return first && first_.size() > 0 ? sorted_first_ : sorted_; }
  bool first_differs() const { return first_.size() > 0; }

 private:
  const TokenTexts texts_, first_;
  const SortedTokens sorted_, sorted_first_;
};

}  // namespace mhub::constraint
