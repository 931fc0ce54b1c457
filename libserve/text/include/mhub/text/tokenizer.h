// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/formats/gguf.h"

namespace mhub::text {

using TokenId = int32_t;

// How the text of special tokens (<|im_end|>, <s>) is treated.
enum class SpecialTokens {
  kParse,   // becomes the special token: raw completions, /tokenize, text that a template wrote
  kAsText,  // stays text: content of chat messages
};

// Part of a rendered prompt: template text (specials parsed) or user content (specials are text).
struct TextSpan {
  std::string_view text;
  SpecialTokens specials = SpecialTokens::kParse;
};

// The decoder of one stream of ids; see Detokenizer.
class StreamDecoder {
 public:
  virtual ~StreamDecoder() = default;
  virtual std::string push(TokenId id) = 0;
  virtual std::string flush() = 0;
};

// Immutable and thread-safe after construction.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  // Ids of `text`; add_special_tokens runs the post-processor (BOS and so on). Linear in the text's length.
  virtual std::vector<TokenId> encode(std::string_view text, bool add_special_tokens, SpecialTokens specials) const = 0;
  // Ids of a text cut in spans. Where no special token is spelled inside a kAsText span the result equals
  // encode(concatenation, false, kParse): pre-tokenization runs over the joined text.
  virtual std::vector<TokenId> encode_spans(std::span<const TextSpan> spans) const = 0;
  // Whole text of ids; ill-formed UTF-8 becomes U+FFFD per maximal ill-formed subpart (as the reference decoder does).
  virtual std::string decode(std::span<const TokenId> ids, bool skip_special_tokens) const = 0;
  // May not outlive the tokenizer.
  virtual std::unique_ptr<StreamDecoder> stream_decoder(bool skip_special_tokens) const = 0;

  virtual int64_t vocab_size() const = 0;                     // ids are 0..vocab_size()-1 (padding rows excluded)
  virtual std::string_view token_text(TokenId id) const = 0;  // as stored ("Ġthe", "<|im_end|>"); "" when unknown
  virtual std::optional<TokenId> token_id(std::string_view token_text) const = 0;
  virtual bool is_special(TokenId id) const = 0;
  virtual std::optional<TokenId> bos_token() const = 0;
  virtual std::optional<TokenId> eos_token() const = 0;
  virtual size_t max_token_bytes() const = 0;  // longest decoded token, for "cannot fit" checks
};

// The tokenizer.json, tekken.json or sentencepiece tokenizer.model of a model directory, with its tokenizer_config.json.
Result<std::shared_ptr<const Tokenizer>> load_tokenizer(const std::filesystem::path& dir);
// The vocabulary inside a GGUF file (tokenizer.ggml.model gpt2, llama, gemma4, t5 or bert; other kinds are kBadModel
// naming the kind). The file may be closed afterwards.
Result<std::shared_ptr<const Tokenizer>> tokenizer_from_gguf(const formats::GgufFile& gguf);

// Incremental decoder of one stream: never emits half a character, and holds a U+FFFD back until more text follows. The
// concatenation of all pieces equals Tokenizer::decode of all ids (one exception, for ill-formed runs of <0xNN> tokens,
// in libserve/text/README.md). O(1) amortised per token.
class Detokenizer {
 public:
  Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special_tokens);
  // Text that became final with this id ("" while a character is incomplete).
  std::string push(TokenId id);
  // What is left at the end of the stream (an incomplete character as U+FFFD).
  std::string flush();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::unique_ptr<StreamDecoder> decoder_;
};

}  // namespace mhub::text
