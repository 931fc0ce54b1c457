// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mhub/base/result.h"
#include "vocabulary.h"

namespace mhub::text {

// What the first symbols of a piece are.
enum class BpeAlphabet {
  kBytes,       // one per byte; the vocabulary spells bytes in the printable alphabet
  kCharacters,  // one per code point, spelled as it is
};

struct BpeOptions {
  BpeAlphabet alphabet = BpeAlphabet::kBytes;
  std::optional<std::string> unk_token;
  bool fuse_unk = false;
  bool byte_fallback = false;
  bool ignore_merges = false;
};

// Byte-pair encoding of one piece by merge rank, lowest first, leftmost on ties. Immutable after load; near-linear
// in the piece's length.
class BpeModel {
 public:
  // `merges` in rank order; each is looked up before use. Errors: kBadModel naming the merge.
  struct Merge {
    std::string_view left, right;
  };
  static Result<BpeModel> create(const Vocabulary& vocabulary, const std::vector<Merge>& merges, BpeOptions options);

  void encode(std::string_view piece, std::vector<TokenId>& out) const;
  BpeAlphabet alphabet() const { return options_.alphabet; }

 private:
  struct Product {
    uint32_t rank;
    TokenId id;
  };
  struct PairSlot {
    uint64_t pair = kNoPair;
    Product product{0, kNoToken};
  };
  struct Symbol {
    TokenId id;
    int32_t previous, next;
  };
  static constexpr uint64_t kNoPair = ~0ull;

  Result<void> add_merges(const std::vector<Merge>& merges);
  void insert_pair(TokenId left, TokenId right, Product product);
  const Product* find_pair(TokenId left, TokenId right) const;
  void find_independent_words();
  void encode_word(std::string_view word, std::vector<TokenId>& out) const;
  void first_symbols(std::string_view piece, std::vector<TokenId>& out) const;
  void add_unknown_char(std::string_view text, bool& unknown_open, std::vector<TokenId>& out) const;
  void merge_short(std::vector<TokenId>& ids) const;
  void merge_long(std::vector<TokenId>& ids) const;

  const Vocabulary* vocabulary_ = nullptr;
  BpeOptions options_;
  std::array<TokenId, 256> byte_ids_{};  // kBytes: the byte's own token; kCharacters: its <0xNN> token
  std::array<TokenId, 128> ascii_ids_{};
  TokenId unk_ = kNoToken;
  // No merge joins a character with a ▁ behind it, so a whole text is cut there without changing its ids.
  bool words_are_independent_ = false;
  std::vector<PairSlot> pairs_;  // open addressing, size is a power of two
};

}  // namespace mhub::text
