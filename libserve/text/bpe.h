// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mhub/base/result.h"
#include "token_model.h"
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
  std::string continuing_prefix, word_suffix;  // spelled before every symbol but the first, behind the last one
};

// A piece that merging may make. Lower ranks are made first.
struct RankedPiece {
  TokenId id = kNoToken;
  uint32_t rank = 0;
};

// Byte-pair encoding of one piece by merge rank, lowest first, leftmost on ties. Immutable after load; near-linear
// in the piece's length.
class BpeModel final : public TokenModel {
 public:
  // `merges` in rank order; each is looked up before use. Errors: kBadModel naming the merge.
  struct Merge {
    std::string_view left, right;
  };
  static Result<std::unique_ptr<const TokenModel>> create(const Vocabulary& vocabulary,
                                                          const std::vector<Merge>& merges, BpeOptions options);
  // Vocabularies without merges (sentencepiece, tiktoken): two neighbours merge when their concatenation is one of
  // `pieces`, also where one of them is a character that is no piece itself.
  static Result<std::unique_ptr<const TokenModel>> create(const Vocabulary& vocabulary,
                                                          const std::vector<RankedPiece>& pieces, BpeOptions options);

  void encode(std::string_view piece, std::vector<TokenId>& out) const override;

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

  struct Mergeable;
  struct Pair {
    TokenId left, right;
    Product product;
  };

  Result<void> prepare(const Vocabulary& vocabulary, BpeOptions options);
  Result<void> add_merges(const std::vector<Merge>& merges);
  void add_splits(const std::vector<RankedPiece>& pieces);
  // One of `mergeable`, or a character (given an id of its own when the vocabulary lacks it).
  TokenId symbol_of(std::string_view text, const Mergeable& mergeable);
  void insert_pair(TokenId left, TokenId right, Product product);
  const Product* find_pair(TokenId left, TokenId right) const;
  void find_neighbours();
  bool may_join(TokenId left, TokenId right) const;
  void first_symbols(std::string_view piece, std::vector<TokenId>& out) const;
  // The symbols of a word with continuing_prefix or word_suffix.
  void first_affixed_symbols(std::string_view piece, std::vector<TokenId>& out) const;
  void add_unknown_char(std::string_view text, bool& unknown_open, std::vector<TokenId>& out) const;
  // Characters that found no partner become bytes or the unknown token.
  void replace_unlisted(std::vector<TokenId>& ids) const;
  // Merge in place and return how many ids are left.
  size_t merge(std::span<TokenId> ids) const;
  size_t merge_short(std::span<TokenId> ids) const;
  size_t merge_long(std::span<TokenId> ids) const;

  const Vocabulary* vocabulary_ = nullptr;
  BpeOptions options_;
  std::array<TokenId, 256> byte_ids_{};  // kBytes: the byte's own token; kCharacters: its <0xNN> token
  std::vector<TokenId> char_ids_;        // kCharacters: the symbol of each code point of the first plane
  TokenId unk_ = kNoToken;
  // Bits of the pairs of first symbols that stand beside each other in a product (a filter: a set bit may lie).
  // Empty: no filter.
  std::vector<uint64_t> neighbours_;
  std::vector<PairSlot> pairs_;  // open addressing, size is a power of two
  // Characters that occur in pieces but are none; their ids begin at vocabulary_->size().
  Vocabulary unlisted_chars_;
};

}  // namespace mhub::text
