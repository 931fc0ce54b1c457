// SPDX-License-Identifier: Apache-2.0
#include "mhub/text/tokenizer.h"

namespace mhub::text {

Detokenizer::Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special_tokens)
    : tokenizer_(std::move(tokenizer)), decoder_(tokenizer_->stream_decoder(skip_special_tokens)) {}

std::string Detokenizer::push(TokenId id) {
  return decoder_->push(id);
}
std::string Detokenizer::flush() {
  return decoder_->flush();
}

}  // namespace mhub::text
