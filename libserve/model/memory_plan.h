// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "layers/workspace.h"
#include "mhub/formats/model_config.h"
#include "mhub/kernels/backend.h"
#include "mhub/model/model_runner.h"

namespace mhub::model {

// Positions the model was made for, and the most that its rope scaling can be asked for.
int64_t native_max_model_len(const formats::ModelConfig& config);
int64_t longest_max_model_len(const formats::ModelConfig& config);

struct MemoryDemand {
  uint64_t weights_bytes = 0;
  uint64_t workspace_bytes = 0;           // activations
  uint64_t rope_bytes_per_token = 0;      // rope table, per position of max_model_len
  uint64_t block_bytes = 0;               // one KV block: of the layers of one group
  std::vector<int64_t> kv_windows = {0};  // of the groups of layers (mhub/base/kv_blocks.h)
  int64_t native_len = 0, longest_len = 0;
};

// Decides num_blocks and max_model_len before anything is loaded. Pure arithmetic. Fills the byte counts, num_blocks,
// block_size, max_model_len(_lowered) of the plan. Errors: kDevice with the arithmetic, kUsage for a bad option.
Result<MemoryPlan> plan_memory(const MemoryDemand& demand, const RunnerOptions& options,
                               const kernels::DeviceFacts& device);

}  // namespace mhub::model
