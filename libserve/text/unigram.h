// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <vector>

#include "mhub/base/result.h"
#include "piece_trie.h"
#include "token_model.h"

namespace mhub::text {

struct UnigramPiece {
  TokenId id = kNoToken;
  double score = 0;
};
struct UnigramOptions {
  TokenId unk = kNoToken;      // kNoToken: characters outside the vocabulary are dropped
  double unk_score = 0;        // of one character outside the vocabulary
  bool byte_fallback = false;  // such characters as <0xNN> tokens instead, when all of them exist
  bool float_scores = false;   // path scores are rounded as sentencepiece does
};

// The likeliest segmentation of a piece by the scores of its parts (Viterbi). Neighbouring unknown characters are one
// token.
class UnigramModel final : public TokenModel {
 public:
  // `pieces`: what text may become. Errors: kBadModel naming a score that is not finite.
  static Result<std::unique_ptr<const TokenModel>> create(const Vocabulary& vocabulary,
                                                          const std::vector<UnigramPiece>& pieces,
                                                          UnigramOptions options);
  void encode(std::string_view piece, std::vector<TokenId>& out) const override;

 private:
  void add_unknown(std::string_view text, std::vector<TokenId>& out) const;

  UnigramOptions options_;
  PieceTrie trie_;
  std::vector<double> scores_;           // by id
  std::array<TokenId, 256> byte_ids_{};  // <0xNN>
};

}  // namespace mhub::text
