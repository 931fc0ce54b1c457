// SPDX-License-Identifier: Apache-2.0
#include "active_request.h"

#include <fmt/format.h>

#include <algorithm>

namespace mhub::engine {
namespace {

FinishReason reason_of(sched::Finish finish) {
  switch (finish) {
    case sched::Finish::kStop:
      return FinishReason::kStop;
    case sched::Finish::kLength:
      return FinishReason::kLength;
    case sched::Finish::kError:
      break;
  }
  return FinishReason::kError;
}

}  // namespace

sched::NewSequence ActiveRequest::make_sequence(RequestId id, GenerationRequest& request) {
  sched::NewSequence sequence;
  sequence.id = id;
  sequence.prompt = std::move(request.prompt);
  sequence.max_tokens = request.params.max_tokens;
  sequence.priority = request.priority;
  sequence.cache_scope = std::move(request.cache_scope);
  sequence.read_prefix_cache = request.params.prompt_logprobs < 0;
  return sequence;
}

model::StepRow ActiveRequest::make_row(const sched::ScheduledSeq& scheduled) {
  model::StepRow row;
  row.tokens = scheduled.tokens;
  row.pending_row = scheduled.pending_row;
  row.first_position = static_cast<int32_t>(scheduled.start);
  row.block_table = scheduled.block_table;
  row.more_block_tables = scheduled.more_block_tables;
  row.long_context = scheduled.long_context;
  row.sample = scheduled.sample;
  row.params = &params_;
  row.prompt = scheduled.prompt;
  row.output = scheduled.output;
  if (matcher_ && scheduled.sample) {
    fill_mask(scheduled.output);
    row.allowed = mask_;
  }
  const auto last_position = static_cast<int64_t>(scheduled.prompt.size()) - 1;
  row.want_prompt_logprobs = params_.prompt_logprobs >= 0 && num_prompt_logprobs_ < last_position;
  if (row.want_prompt_logprobs) {
    next_tokens_.assign(scheduled.tokens.size(), -1);
    for (size_t i = 0; i < next_tokens_.size(); ++i) {
      const int64_t position = scheduled.start + static_cast<int64_t>(i);
      if (position < last_position && position >= num_prompt_logprobs_) {
        next_tokens_[i] = scheduled.prompt[static_cast<size_t>(position) + 1];
      }
    }
    row.next_tokens = next_tokens_;
  }
  return row;
}

// Tokens of the form; to stop is allowed where it may end, whatever the text of a stop token.
void ActiveRequest::fill_mask(std::span<const TokenId> output) {
  matcher_->follow(output);
  const auto allowed = matcher_->allowed();
  mask_.assign(allowed.begin(), allowed.end());
  if (!matcher_->may_end()) return;
  for (const TokenId stop : params_.stop_token_ids) {
    const auto word = static_cast<size_t>(stop) / 32;
    if (stop >= 0 && word < mask_.size()) mask_[word] |= 1u << (stop % 32);
  }
}

bool ActiveRequest::is_stop(TokenId token) const {
  const auto& stops = params_.stop_token_ids;
  return std::find(stops.begin(), stops.end(), token) != stops.end();
}

sched::SeqResult ActiveRequest::take(const Row& row, model::RowResult&& result) {
  sched::SeqResult taken{row.id, std::nullopt, std::nullopt};
  if (result.non_finite) {
    error_ = Error{ErrorCode::kInternal, fmt::format("the model gave no finite logits at position {}", row.end - 1),
                   "the weights may be damaged (`mhub verify`), or the back end is faulty: try --dtype float32", ""};
    taken.finish = sched::Finish::kError;
    return taken;
  }
  if (result.nothing_allowed) {
    error_ = Error{ErrorCode::kInvalidRequest,
                   fmt::format("no token is left to sample as number {} of the answer", row.outputs),
                   "allowed_token_ids, bad_words and the required form of this request exclude each other", ""};
    taken.finish = sched::Finish::kError;
    return taken;
  }
  num_prompt_logprobs_ += static_cast<int64_t>(result.prompt_logprobs.size());
  std::move(result.prompt_logprobs.begin(), result.prompt_logprobs.end(), std::back_inserter(prompt_logprobs_));
  if (!row.sample) return taken;
  taken.token = result.token;
  logprobs_ = std::move(result.logprobs);
  if (result.token && row.outputs >= params_.min_tokens && is_stop(*result.token)) taken.finish = sched::Finish::kStop;
  if (matcher_ && result.token && !taken.finish) {
    matcher_->push(*result.token);
    ended_by_form_ = matcher_->must_end();
    if (ended_by_form_) taken.finish = sched::Finish::kStop;
  }
  return taken;
}

void ActiveRequest::fill_delta(const sched::SeqUpdate& update, int64_t cached_tokens, TokenDelta& delta) {
  if (update.token) {
    delta.tokens.push_back(*update.token);
    if (logprobs_) delta.logprobs.push_back(*std::exchange(logprobs_, std::nullopt));
  }
  if (!std::exchange(told_something_, true)) {
    delta.prompt_logprobs = std::move(prompt_logprobs_);
    delta.cached_tokens = cached_tokens;
  }
  if (!update.finish) return;
  delta.finish = reason_of(*update.finish);
  if (update.finish == sched::Finish::kStop && !ended_by_form_) delta.stop_token = update.token;
  delta.error = std::move(error_);
}

}  // namespace mhub::engine
