// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "added_tokens.h"
#include "mhub/text/tokenizer.h"
#include "normalizer.h"
#include "pre_tokenizer.h"
#include "token_decoder.h"
#include "token_model.h"
#include "vocabulary.h"

namespace mhub::text {

// Everything a tokenizer file says, checked and resolved; the readers of the file formats fill it.
struct TokenizerParts {
  std::unique_ptr<Vocabulary> vocabulary;   // model tokens; added tokens that are not among them are in `added` only
  std::unique_ptr<const TokenModel> model;  // refers to *vocabulary
  std::vector<AddedToken> added;            // ids unique; content not empty
  bool added_are_normalized = false;        // contents of `normalized` tokens are in the normalizer's spelling already
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  DecoderOptions decoder;
  std::vector<TokenId> prefix, suffix;  // what the post-processor adds
  std::optional<TokenId> bos, eos;
};

// Added tokens, normalizer, pre-tokenizer and model in a row, as tokenizer.json describes them.
class PipelineTokenizer final : public Tokenizer {
 public:
  // Errors: kBadModel (added tokens).
  static Result<std::shared_ptr<const Tokenizer>> create(TokenizerParts parts);

  std::vector<TokenId> encode(std::string_view text, bool add_special_tokens, SpecialTokens specials) const override;
  std::vector<TokenId> encode_spans(std::span<const TextSpan> spans) const override;
  std::string decode(std::span<const TokenId> ids, bool skip_special_tokens) const override;
  std::unique_ptr<StreamDecoder> stream_decoder(bool skip_special_tokens) const override;
  int64_t vocab_size() const override { return static_cast<int64_t>(decoder_->size()); }
  std::string_view token_text(TokenId id) const override;
  std::optional<TokenId> token_id(std::string_view token_text) const override;
  bool is_special(TokenId id) const override;
  std::optional<TokenId> bos_token() const override { return parts_.bos; }
  std::optional<TokenId> eos_token() const override { return parts_.eos; }
  size_t max_token_bytes() const override { return decoder_->max_token_bytes(); }

  // Whether what a token adds to a text does not depend on its neighbours.
  bool texts_are_fixed() const;
  // What it adds, as the first token of a text or behind others; "" for special ones.
  std::string_view added_text(TokenId id, bool first) const;

 private:
  class Encoder;
  explicit PipelineTokenizer(TokenizerParts parts) : parts_(std::move(parts)) {}
  Result<void> index_added_tokens();
  std::vector<TokenId> encode_marked(std::string_view text, const UserMarks& user, bool spans) const;

  TokenizerParts parts_;
  Vocabulary added_texts_;     // added tokens that are not in the vocabulary
  std::vector<bool> special_;  // by id
  // Matchers of text as given and of normalized text. In span mode control-looking tokens that are not `special`
  // (<|User|>) count as control too: a chat message may not forge a role.
  AddedTokenMatcher raw_, normalized_, raw_spans_, normalized_spans_;
  std::unique_ptr<const TokenDecoder> decoder_;
};

}  // namespace mhub::text
