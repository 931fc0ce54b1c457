// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "mhub/base/result.h"
#include "pipeline_tokenizer.h"

namespace mhub::text {

// What a sentencepiece vocabulary says, from a tokenizer.model or from a GGUF file.
struct SentencePieces {
  enum class Type : int64_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };
  struct Piece {
    std::string_view text;
    float score = 0;
    Type type = Type::kNormal;
  };
  enum class Model { kUnigram = 1, kBpe = 2, kWord = 3, kChar = 4 };

  std::vector<Piece> pieces;  // the place is the id
  Model model = Model::kUnigram;
  bool byte_fallback = false;
  bool add_dummy_prefix = true;
  bool dummy_prefix_only_first = false;  // not behind added tokens
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
  bool whitespace_as_suffix = false;
  std::string_view charsmap;
  int64_t bos_id = 1, eos_id = 2;  // -1: none
};

// `model` outlives the result. Errors: kBadModel.
Result<SentencePieces> parse_sentencepiece(std::string_view model);

// Vocabulary, model, added tokens, normalizer and decoder of `out`. Control pieces become special added tokens.
// Errors: kBadModel naming what is damaged or not supported.
Result<void> build_sentencepiece(const SentencePieces& from, TokenizerParts& out);

// The tokenizer of the bytes of tokenizer.model and the text of tokenizer_config.json (may be empty: no such file).
Result<std::shared_ptr<const Tokenizer>> tokenizer_from_sentencepiece(std::string_view model,
                                                                      std::string_view tokenizer_config);

}  // namespace mhub::text
