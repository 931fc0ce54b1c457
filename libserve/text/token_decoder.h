// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "mhub/text/tokenizer.h"
#include "pattern.h"

namespace mhub::text {

// What happens to the text of each token, in order. Some steps treat the first token of a text in another way.
struct ReplaceInToken {
  std::shared_ptr<const Pattern> pattern;
  std::string to;
};
struct JoinWordPieces {
  std::string prefix;  // of tokens that go on a word; all others but the first get a space in front
  bool cleanup = false;
};
struct JoinWords {};  // a space between all tokens
struct MetaspaceToSpace {
  std::string marker;
  bool keep_in_first = false;
};
struct WordSuffixToSpace {
  std::string suffix;  // becomes a space unless the text ends there
};
struct StripToken {
  std::string content;  // one character
  size_t start = 0, stop = 0;
};
using TokenStep =
    std::variant<ReplaceInToken, JoinWordPieces, JoinWords, MetaspaceToSpace, WordSuffixToSpace, StripToken>;

// How ids become text.
struct DecoderOptions {
  bool byte_level = false;     // token texts spell bytes in the printable alphabet
  bool byte_fallback = false;  // <0xNN> tokens are bytes
  std::vector<TokenStep> steps;
  std::string strip_left;      // one character, removed from the front of the whole text ...
  size_t strip_left_most = 0;  // ... up to so many times
};

// The text of each id, prepared once. Immutable.
class TokenDecoder {
 public:
  TokenDecoder(DecoderOptions options, const std::vector<std::string_view>& token_texts);
  size_t size() const { return others_.size(); }
  // Bytes that the token adds, as the first one of a text or behind others; "" for ids out of range.
  std::string_view bytes(TokenId id, bool first = false) const {
    return first && !firsts_.empty() ? firsts_.text(id) : others_.text(id);
  }
  // A <0xNN> token of a byte_fallback vocabulary: runs of them are one text or one U+FFFD per byte.
  bool is_fallback_byte(TokenId id) const;
  // A space follows the token unless it is the last one.
  bool ends_word(TokenId id) const;
  const DecoderOptions& options() const { return options_; }
  size_t max_token_bytes() const { return max_token_bytes_; }

 private:
  // Texts by id in one arena.
  class Texts {
   public:
    void reserve(size_t count, size_t bytes);
    void add(std::string_view text);
    size_t size() const { return ends_.size() - 1; }
    bool empty() const { return size() == 0; }
    std::string_view text(TokenId id) const {
      if (id < 0 || static_cast<size_t>(id) >= size()) return {};
      const auto i = static_cast<size_t>(id);
      return std::string_view(arena_).substr(ends_[i], ends_[i + 1] - ends_[i]);
    }

   private:
    std::string arena_;
    std::vector<uint32_t> ends_{0};
  };

  DecoderOptions options_;
  Texts others_, firsts_;  // firsts_ is empty when no step treats the first token in another way
  std::vector<bool> fallback_, ends_word_;
  size_t max_token_bytes_ = 0;
};

// One stream of ids to text. push() holds back while the text ends in an incomplete or replaced character (the
// reference's rule); after flush() the pieces together are the decoded whole. One exception: a run of fallback bytes
// that was complete, hence sent, and goes on with ill-formed bytes keeps what was sent.
class DecodeState {
 public:
  explicit DecodeState(const TokenDecoder& decoder);
  // Appends the id's text to what is ready.
  void push(TokenId id);
  // Text that may be sent now.
  std::string take();
  std::string finish();

 private:
  void push_text(std::string_view text);
  bool run_is_complete();
  void close_run();

  const TokenDecoder* decoder_;
  std::string ready_;    // well-formed text not handed out yet
  std::string tail_;     // bytes of an incomplete character, or an open run of fallback bytes
  size_t checked_ = 0;   // bytes of the open run already looked at
  bool broken_ = false;  // the open run holds an ill-formed byte
  size_t strip_left_;
  bool first_ = true;        // no token yet
  bool owes_space_ = false;  // in front of the next token
};

}  // namespace mhub::text
