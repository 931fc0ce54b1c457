// SPDX-License-Identifier: Apache-2.0
#include "engine_options.h"

#include <vector>

#include "mhub/model/option_limits.h"

namespace mhub::apps {

void add_engine_options(CLI::App& command, const EngineOptionRefs& options) {
  command
      .add_option("--dtype", options.dtype, "auto = the fast path; float32 = the mode that is compared with references")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "half", "float16", "bfloat16", "float", "float32"}));
  command.add_option("--max-num-batched-tokens", options.max_num_batched_tokens, "Tokens computed in one step")
      ->capture_default_str()
      ->check(CLI::Range(model::kMaxNumBatchedTokens.smallest, model::kMaxNumBatchedTokens.largest));
  command
      .add_option("--gpu-memory-utilization", options.gpu_memory_utilization,
                  "Share of the device's memory for weights and KV cache")
      ->capture_default_str()
      ->check(CLI::Range(model::kGpuMemoryUtilization.smallest, model::kGpuMemoryUtilization.largest));
  command.add_option("--block-size", options.block_size, "Tokens of a KV block")
      ->capture_default_str()
      ->check(CLI::IsMember(std::vector<int64_t>(model::kBlockSizes.begin(), model::kBlockSizes.end())));
  command.add_option("--device", options.device, "Where to compute")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  command.add_option("--load-format", options.load_format, "dummy = random weights")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "dummy"}));
  command.add_option("--threads", options.num_threads, "CPU threads; 0 = one per physical core")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
}

}  // namespace mhub::apps
