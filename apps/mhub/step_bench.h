// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/kernels/backend.h"
#include "mhub/model/fixed_blocks.h"
#include "mhub/model/model_runner.h"

namespace mhub::apps {

// Bytes per second that the back end moves when it copies rows of its memory, read and written counted.
double measure_copy_bandwidth(kernels::Backend& backend);

struct StepTimes {
  double median = 0, p99 = 0;  // seconds
  uint64_t bytes_read = 0;     // weights and keys and values that a step cannot do without
};

// Times a model's steps as the engine takes them, without scheduler, server and tokenizer. Prompts are random.
class StepBench {
 public:
  static constexpr int64_t kWarmup = 4;  // steps before the timed ones: first sight, recording, and two more

  StepBench(model::LoadedModel& model, int64_t prompt_tokens);
  // `steps` greedy steps of `batch` sequences behind a prompt each. kUsage when the KV cache does not hold them.
  Result<StepTimes> decode(int64_t batch, int64_t steps);
  // Median of a few prefills of one sequence, in chunks of at most `chunk`; ends with its first token.
  Result<double> prefill(int64_t tokens, int64_t chunk);

 private:
  model::FixedBlocks blocks_of(int64_t sequence) const;
  void fill(int64_t batch);

  model::LoadedModel& model_;
  int64_t prompt_tokens_;
  int64_t sequence_tokens_ = 0, filled_ = 0;  // positions that each sequence has blocks for; sequences with a prompt
  model::SamplingParams greedy_;
};

}  // namespace mhub::apps
