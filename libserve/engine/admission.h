// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "mhub/engine/generator.h"
#include "mhub/sched/scheduler.h"

namespace mhub::engine {

// Refuses a request that could never be run, before it is queued: kInvalidRequest (ids outside the vocabulary, negative
// limits, more prompt logprobs than are sent at once) or kContextTooLong.
Result<void> check_request(const GenerationRequest& request, int64_t vocab_size, const sched::SchedulerConfig& config);

// A constrained request for a model whose tokens have no text of their own.
Error no_token_texts();
Error queue_full(int64_t waiting, int64_t max_queue);

}  // namespace mhub::engine
