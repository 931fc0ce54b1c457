// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "mhub/engine/generator.h"
#include "mhub/text/stop_matcher.h"
#include "mhub/text/tokenizer.h"
#include "openai_types.h"

namespace mhub::http {

// Why a choice ended, for `stop_reason`: nothing (end of text, length), a stop token id or a stop string.
using StopReason = std::variant<std::monostate, TokenId, std::string>;

// What one step added to one choice, as both routes show it.
struct ChoiceDelta {
  int index = 0;
  std::string text;
  std::vector<TokenId> token_ids;
  std::vector<engine::PositionLogprobs> logprobs;         // parallel to token_ids when asked for
  std::vector<engine::PositionLogprobs> prompt_logprobs;  // with the first delta
  bool first = false;
  std::optional<std::string> finish_reason;
  StopReason stop_reason;
};

// Text rules of a request, shared by its choices.
struct TextRules {
  std::shared_ptr<const text::Tokenizer> tokenizer;  // null: ids only, no text
  std::vector<std::string> stop;
  bool include_stop = false, skip_special_tokens = true;
  int32_t min_tokens = 0;
  std::vector<TokenId> eos_token_ids;  // end without a stop_reason
};

// One choice of an answer: turns the engine's tokens into text, applies stop strings and counts.
class Choice {
 public:
  Choice(int index, std::shared_ptr<const TextRules> rules);
  // Tokens after a stop string are dropped: they were never part of the answer.
  ChoiceDelta consume(engine::TokenDelta delta);
  bool finished() const { return finished_; }
  int64_t num_tokens() const { return num_tokens_; }
  int index() const { return index_; }

 private:
  // Adds the text of one token; true when a stop string ended the choice.
  bool append_text(std::string_view piece, ChoiceDelta& to);
  void finish_by(engine::FinishReason reason, std::optional<TokenId> stop_token, ChoiceDelta& to);

  int index_;
  std::shared_ptr<const TextRules> rules_;
  std::optional<text::Detokenizer> detokenizer_;
  text::StopMatcher matcher_;
  int64_t num_tokens_ = 0;
  bool started_ = false, finished_ = false;
};

}  // namespace mhub::http
