// SPDX-License-Identifier: Apache-2.0
#include "memory_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "mhub/base/bytes.h"
#include "mhub/base/kv_blocks.h"

namespace mhub::model {
namespace {

constexpr uint64_t kCpuDefaultKvBytes = 4ull << 30;  // without --kv-cache-memory-bytes a CPU pool stays below this
constexpr int64_t kMaxSlots = int64_t{1} << 31;      // slot_mapping is int32

template <class T>
Result<void> check(const char* name, T value, const OptionLimits<T>& limits) {
  if (limits.allows(value)) return {};
  return Error{ErrorCode::kUsage,
               fmt::format("{} {} is not from {} to {}", name, value, limits.smallest, limits.largest),
               fmt::format("leave it out to get {}", limits.standard), name};
}

// Most blocks of one sequence.
int64_t blocks_of(const MemoryDemand& d, const RunnerOptions& o, int64_t tokens) {
  return most_blocks_of_sequence(d.kv_windows, o.block_size, o.max_num_batched_tokens, tokens);
}

// The longest sequence of up to `most` tokens that `blocks` hold.
int64_t longest_in(const MemoryDemand& d, const RunnerOptions& o, int64_t blocks, int64_t most) {
  int64_t low = 0, high = most;
  while (low < high) {
    const int64_t middle = low + (high - low + 1) / 2;
    if (blocks_of(d, o, middle) <= blocks)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

Result<void> check_options(const RunnerOptions& o, const MemoryDemand& demand) {
  MHUB_CHECK_OK(check("block_size", o.block_size, kBlockSize));
  MHUB_CHECK_OK(check("max_num_seqs", o.max_num_seqs, kMaxNumSeqs));
  MHUB_CHECK_OK(check("max_num_batched_tokens", o.max_num_batched_tokens, kMaxNumBatchedTokens));
  MHUB_CHECK_OK(check("gpu_memory_utilization", o.gpu_memory_utilization, kGpuMemoryUtilization));
  if (o.max_model_len < 0 || o.max_model_len > demand.longest_len) {
    return Error{ErrorCode::kUsage,
                 fmt::format("max_model_len {} is not from 1 to the {} positions of this model", o.max_model_len,
                             demand.longest_len),
                 "give a smaller --max-model-len or leave it out", "max_model_len"};
  }
  return {};
}

// Bytes that the KV pool may have.
uint64_t kv_budget(const MemoryDemand& d, const RunnerOptions& o, const kernels::DeviceFacts& device, uint64_t fixed,
                   int64_t wanted_len) {
  auto usable = static_cast<uint64_t>(o.gpu_memory_utilization * static_cast<double>(device.memory_bytes));
  const bool cpu = device.name == "cpu";
  if (cpu) {
    usable = std::min(usable, device.memory_available_bytes);
  } else {  // what is taken already (the driver's own, other processes) counts as used
    const uint64_t taken = device.memory_bytes - std::min(device.memory_bytes, device.memory_available_bytes);
    usable -= std::min(usable, taken);
  }
  uint64_t budget = usable > fixed ? usable - fixed : 0;
  if (cpu) {
    const auto one_sequence = static_cast<uint64_t>(blocks_of(d, o, wanted_len)) * d.block_bytes;
    budget = std::min(budget, std::max(kCpuDefaultKvBytes, o.max_model_len > 0 ? one_sequence : 0));
  }
  return budget;
}

}  // namespace

int64_t native_max_model_len(const formats::ModelConfig& config) {
  const auto& s = config.rope_scaling;
  if (s.rope_type != "yarn" || s.original_max_position_embeddings == 0) return config.max_position_embeddings;
  const double stretched = s.factor * static_cast<double>(s.original_max_position_embeddings);
  return std::max(config.max_position_embeddings, static_cast<int64_t>(std::min(stretched, 1e9)));
}

int64_t longest_max_model_len(const formats::ModelConfig& config) {
  const auto& s = config.rope_scaling;
  const int64_t native = native_max_model_len(config);
  if (s.rope_type != "linear" && s.rope_type != "dynamic") return native;
  return static_cast<int64_t>(std::min(s.factor * static_cast<double>(native), 1e9));
}

Result<MemoryPlan> plan_memory(const MemoryDemand& d, const RunnerOptions& o, const kernels::DeviceFacts& device) {
  MHUB_CHECK_OK(check_options(o, d));
  const int64_t wanted_len = o.max_model_len > 0 ? o.max_model_len : d.native_len;
  const uint64_t rope_bytes = d.rope_bytes_per_token * static_cast<uint64_t>(wanted_len);
  MemoryPlan plan;
  plan.weights_bytes = d.weights_bytes;
  plan.workspace_bytes = d.workspace_bytes + rope_bytes;
  plan.block_size = o.block_size;
  const uint64_t fixed = plan.weights_bytes + plan.workspace_bytes;
  const std::string rest = fmt::format("{} of weights and {} of workspace", human_bytes(plan.weights_bytes),
                                       human_bytes(plan.workspace_bytes));

  const bool given = o.kv_cache_memory_bytes > 0;
  if (given && fixed + o.kv_cache_memory_bytes > device.memory_bytes) {
    return Error{
        ErrorCode::kDevice,
        fmt::format("{} of KV cache with {} need {}, {} has {}", human_bytes(o.kv_cache_memory_bytes), rest,
                    human_bytes(fixed + o.kv_cache_memory_bytes), device.name, human_bytes(device.memory_bytes)),
        "lower --kv-cache-memory-bytes", "kv_cache_memory_bytes"};
  }
  const uint64_t budget = given ? o.kv_cache_memory_bytes : kv_budget(d, o, device, fixed, wanted_len);
  const int64_t per_sequence = blocks_of(d, o, wanted_len);
  auto blocks = static_cast<int64_t>(std::min<uint64_t>(budget / d.block_bytes, kMaxSlots / o.block_size - 1));
  if (!given && blocks / o.max_num_seqs >= per_sequence) blocks = per_sequence * o.max_num_seqs;

  const int64_t longest = longest_in(d, o, blocks, wanted_len);
  if (longest < wanted_len && (o.max_model_len > 0 || longest < 1)) {
    const int64_t need_len = o.max_model_len > 0 ? wanted_len : o.block_size;
    const auto need = static_cast<uint64_t>(blocks_of(d, o, need_len)) * d.block_bytes;
    std::string have = given ? fmt::format("--kv-cache-memory-bytes gives {}", human_bytes(budget))
                             : fmt::format("{:.2f} of {}'s {} ({} available now) less {} leaves {}",
                                           o.gpu_memory_utilization, device.name, human_bytes(device.memory_bytes),
                                           human_bytes(device.memory_available_bytes), rest, human_bytes(budget));
    return Error{
        ErrorCode::kDevice,
        fmt::format("one sequence of {} tokens needs {} of KV cache ({} blocks of {} tokens, {} each); {}", need_len,
                    human_bytes(need), blocks_of(d, o, need_len), o.block_size, human_bytes(d.block_bytes), have),
        given && longest < 1 ? fmt::format("raise --kv-cache-memory-bytes to {} or more", need)
        : longest < 1        ? "use a smaller or quantized model, or lower --max-num-batched-tokens"
                             : fmt::format("lower --max-model-len to {} or less, or leave it out", longest),
        "max_model_len"};
  }
  plan.num_blocks = blocks;
  plan.kv_bytes = static_cast<uint64_t>(blocks) * d.block_bytes;
  plan.kv_windows = d.kv_windows;
  plan.max_model_len = longest;
  plan.max_model_len_lowered = plan.max_model_len < wanted_len;
  return plan;
}

}  // namespace mhub::model
