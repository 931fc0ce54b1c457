// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mhub/text/tokenizer.h"

namespace mhub::text {

// How ids become text.
struct DecoderOptions {
  bool byte_level = false;                                        // token texts spell bytes in the printable alphabet
  bool byte_fallback = false;                                     // <0xNN> tokens are bytes
  std::vector<std::pair<std::string, std::string>> replacements;  // applied to each token, in order
  std::string strip_left;      // one character, removed from the front of the whole text ...
  size_t strip_left_most = 0;  // ... up to so many times
};

// The text of each id, prepared once. Immutable.
class TokenDecoder {
 public:
  TokenDecoder(DecoderOptions options, const std::vector<std::string_view>& token_texts);
  size_t size() const { return ends_.size() - 1; }
  // Bytes that the token adds; "" for ids out of range.
  std::string_view bytes(TokenId id) const;
  // A <0xNN> token of a byte_fallback vocabulary: runs of them are one text or one U+FFFD per byte.
  bool is_fallback_byte(TokenId id) const;
  const DecoderOptions& options() const { return options_; }
  size_t max_token_bytes() const { return max_token_bytes_; }

 private:
  DecoderOptions options_;
  std::string arena_;
  std::vector<uint32_t> ends_{0};
  std::vector<bool> fallback_;
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
};

}  // namespace mhub::text
