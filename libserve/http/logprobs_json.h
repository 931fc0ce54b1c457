// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "mhub/base/json.h"
#include "mhub/engine/generator.h"
#include "mhub/text/tokenizer.h"

namespace mhub::http {

using engine::PositionLogprobs;
using engine::TokenId;

// Writes log-probabilities in the three forms that the routes have.
class LogprobsJson {
 public:
  // `tokenizer` may be null: tokens are then shown by id.
  LogprobsJson(std::shared_ptr<const text::Tokenizer> tokenizer, bool tokens_as_ids)
      : tokenizer_(std::move(tokenizer)), tokens_as_ids_(tokens_as_ids || !tokenizer_) {}

  std::string token_string(TokenId id) const;
  // Chat: one entry of logprobs.content.
  OrderedJson chat_entry(const PositionLogprobs& position) const;
  // prompt_logprobs of both routes: null, then {"id": {logprob, rank, decoded_token}}.
  OrderedJson prompt_entries(const std::vector<PositionLogprobs>& positions) const;

  // Completions: parallel lists, which grow token by token.
  struct Lists {
    OrderedJson tokens = OrderedJson::array(), token_logprobs = OrderedJson::array();
    OrderedJson top_logprobs = OrderedJson::array(), text_offset = OrderedJson::array();
    bool empty() const { return tokens.empty(); }
    OrderedJson json() const;
  };
  // `offset`: characters before this token; moved behind it. `position` null: the first prompt token, which has none.
  void append(TokenId token, const PositionLogprobs* position, int32_t top, int64_t& offset, Lists& to) const;

 private:
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  bool tokens_as_ids_;
};

int64_t count_characters(std::string_view utf8);

}  // namespace mhub::http
