// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "mhub/constraint/matcher.h"
#include "mhub/engine/generator.h"
#include "mhub/model/model_runner.h"
#include "mhub/sched/scheduler.h"
#include "request_delta.h"

namespace mhub::engine {

// What the engine thread keeps of a request besides its scheduler sequence: how to sample, and what the client has not
// been told yet.
class ActiveRequest {
 public:
  // Takes the prompt out of `request`.
  static sched::NewSequence make_sequence(RequestId id, GenerationRequest& request);
  ActiveRequest(SamplingParams params, std::optional<constraint::Matcher> matcher)
      : params_(std::move(params)), matcher_(std::move(matcher)) {}
  const SamplingParams& params() const { return params_; }
  // Its next row cannot be made before the last one's token is known.
  bool constrained() const { return matcher_.has_value(); }

  // The row of a step. Borrows from `scheduled` and from this.
  model::StepRow make_row(const sched::ScheduledSeq& scheduled);
  // What take() must know of a row. Holds when the row's spans are gone.
  struct Row {
    sched::SeqId id = 0;
    int64_t end = 0;      // position after its last token
    int64_t outputs = 0;  // generated, the one that it samples included
    bool sample = false;
    int64_t cached_tokens = 0;  // of the prompt
  };
  // Reads a row's result: keeps its logprobs, says whether the sequence ends here.
  sched::SeqResult take(const Row& row, model::RowResult&& result);
  // Fills what the client is told of an update. `cached_tokens`: of the prompt, for the first delta.
  void fill_delta(const sched::SeqUpdate& update, int64_t cached_tokens, TokenDelta& delta);

 private:
  bool is_stop(TokenId token) const;
  void fill_mask(std::span<const TokenId> output);

  SamplingParams params_;
  std::optional<constraint::Matcher> matcher_;
  std::vector<uint32_t> mask_;  // of the row being computed
  bool ended_by_form_ = false;  // nothing could follow the last token
  bool told_something_ = false;
  std::vector<TokenId> next_tokens_;               // of the row being computed
  std::vector<PositionLogprobs> prompt_logprobs_;  // until the first delta
  int64_t num_prompt_logprobs_ = 0;                // positions read so far; they are not read again after a preemption
  std::optional<PositionLogprobs> logprobs_;       // of the token just sampled
  std::optional<Error> error_;
};

}  // namespace mhub::engine
