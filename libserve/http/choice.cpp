// SPDX-License-Identifier: Apache-2.0
#include "choice.h"

#include <algorithm>

#include "mhub/base/check.h"

namespace mhub::http {

Choice::Choice(int index, std::shared_ptr<const TextRules> rules)
    : index_(index), rules_(std::move(rules)), matcher_(rules_->stop, rules_->include_stop) {
  if (rules_->tokenizer) detokenizer_.emplace(rules_->tokenizer, rules_->skip_special_tokens);
}

bool Choice::append_text(std::string_view piece, ChoiceDelta& to) {
  // Stop strings count only in text that came after min_tokens (vLLM's rule).
  if (rules_->stop.empty() || num_tokens_ <= rules_->min_tokens) {
    to.text += piece;
    return false;
  }
  auto out = matcher_.push(piece);
  to.text += out.text;
  if (!out.matched) return false;
  finished_ = true;
  to.finish_reason = "stop";
  to.stop_reason = std::move(*out.matched);
  return true;
}

ChoiceDelta Choice::consume(engine::TokenDelta delta) {
  MHUB_CHECK(!finished_);
  ChoiceDelta out;
  out.index = index_;
  out.first = !std::exchange(started_, true);
  out.prompt_logprobs = std::move(delta.prompt_logprobs);
  for (size_t i = 0; i < delta.tokens.size() && !finished_; ++i) {
    const TokenId token = delta.tokens[i];
    ++num_tokens_;
    out.token_ids.push_back(token);
    if (i < delta.logprobs.size()) out.logprobs.push_back(std::move(delta.logprobs[i]));
    const bool ends = delta.stop_token && i + 1 == delta.tokens.size();
    if (ends && !rules_->include_stop) break;  // the text of a stop token is not part of the answer
    if (detokenizer_) append_text(detokenizer_->push(token), out);
  }
  if (delta.finish && !finished_) finish_by(*delta.finish, delta.stop_token, out);
  return out;
}

void Choice::finish_by(engine::FinishReason reason, std::optional<TokenId> stop_token, ChoiceDelta& to) {
  if (detokenizer_ && append_text(detokenizer_->flush(), to)) return;
  to.text += matcher_.flush();
  finished_ = true;
  switch (reason) {
    case engine::FinishReason::kStop:
      to.finish_reason = "stop";
      break;
    case engine::FinishReason::kLength:
      to.finish_reason = "length";
      break;
    case engine::FinishReason::kError:
      to.finish_reason = "error";
      break;
  }
  const auto& eos = rules_->eos_token_ids;
  if (stop_token && std::find(eos.begin(), eos.end(), *stop_token) == eos.end()) to.stop_reason = *stop_token;
}

}  // namespace mhub::http
