// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "piece_trie.h"
#include "token_model.h"

namespace mhub::text {

struct WordPieceOptions {
  std::string start_prefix;              // of the texts that begin a word ("▁" in GGUF files)
  std::string continuing_prefix = "##";  // of the texts that go on
  size_t max_chars = 100;                // a longer word is unknown
  TokenId unk = kNoToken;
};

// Longest piece first; a word that cannot be spelled to its end is one unknown token.
class WordPieceModel final : public TokenModel {
 public:
  WordPieceModel(const Vocabulary& vocabulary, const WordPieceOptions& options);
  void encode(std::string_view piece, std::vector<TokenId>& out) const override;

 private:
  PieceTrie trie_;
  PieceTrie::Node start_, continuing_;
  size_t max_chars_;
  TokenId unk_;
};

// Whole words only.
class WordLevelModel final : public TokenModel {
 public:
  WordLevelModel(const Vocabulary& vocabulary, TokenId unk) : vocabulary_(&vocabulary), unk_(unk) {}
  void encode(std::string_view piece, std::vector<TokenId>& out) const override;

 private:
  const Vocabulary* vocabulary_;
  TokenId unk_;
};

}  // namespace mhub::text
