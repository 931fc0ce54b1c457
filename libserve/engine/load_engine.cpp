// SPDX-License-Identifier: Apache-2.0
#include "load_engine.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "mhub/base/bytes.h"
#include "mhub/base/kv_blocks.h"
#include "mhub/model/backend_choice.h"

namespace mhub::engine {
namespace {

Result<model::LoadFormat> parse_load_format(const std::string& name) {
  if (name == "auto") return model::LoadFormat::kAuto;
  if (name == "dummy") return model::LoadFormat::kDummy;
  return Error{ErrorCode::kUsage, fmt::format("load format \"{}\" is unknown", printable(name, 64)),
               "use auto or dummy", "load-format"};
}

Result<sched::Policy> parse_policy(const std::string& name) {
  if (name == "fcfs") return sched::Policy::kFcfs;
  if (name == "priority") return sched::Policy::kPriority;
  return Error{ErrorCode::kUsage, fmt::format("scheduling policy \"{}\" is unknown", printable(name, 64)),
               "use fcfs or priority", "scheduling-policy"};
}

model::RunnerOptions runner_options(const EngineConfig& config, model::LoadFormat load_format) {
  model::RunnerOptions options;
  options.model = config.model;
  options.load_format = load_format;
  options.dtype = config.dtype;
  options.block_size = config.block_size;
  options.max_model_len = config.max_model_len;
  options.max_num_seqs = config.max_num_seqs;
  options.max_num_batched_tokens = config.max_num_batched_tokens;
  options.kv_cache_memory_bytes = config.kv_cache_memory_bytes;
  options.gpu_memory_utilization = config.gpu_memory_utilization;
  options.seed = config.seed;
  options.sampled_vocab = config.sampled_vocab;
  return options;
}

uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t size = 0, resident = 0;
  return statm >> size >> resident ? resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

ModelInfo describe(const model::LoadedModel& model, int64_t max_num_batched_tokens, const std::string& why_cpu) {
  const auto& plan = model.plan();
  ModelInfo info;
  info.architecture = model.config().architecture;
  info.vocab_size = model.vocab_size();
  info.max_model_len = plan.max_model_len;
  info.kv_windows = plan.kv_windows;
  info.weights_bytes = plan.weights_bytes;
  info.kv_bytes = plan.kv_bytes;
  info.workspace_bytes = plan.workspace_bytes;
  info.resident_bytes = resident_bytes();
  info.device = plan.device;
  info.kv_dtype = plan.kv_dtype;
  info.compute = plan.compute;
  for (const int64_t id : model.config().eos_token_ids) info.eos_token_ids.push_back(static_cast<TokenId>(id));
  if (!why_cpu.empty()) info.notices.push_back(fmt::format("computing on the CPU: {}", why_cpu));
  if (plan.max_model_len_lowered) {
    info.notices.push_back(
        fmt::format("max_model_len is lowered to {}, which is what the KV cache of {} blocks of {} holds",
                    plan.max_model_len, plan.num_blocks, plan.block_size));
  }
  if (plan.kv_windows != std::vector<int64_t>{0}) {
    info.notices.push_back(fmt::format(
        "KV cache: {} blocks of {} positions of {}; {} of {} groups of layers keep a window of {} only: a sequence of "
        "{} "
        "holds at most {} blocks",
        plan.num_blocks, plan.block_size, human_bytes(plan.kv_bytes / static_cast<uint64_t>(plan.num_blocks)),
        std::count_if(plan.kv_windows.begin(), plan.kv_windows.end(), [](int64_t w) { return w > 0; }),
        plan.kv_windows.size(), *std::max_element(plan.kv_windows.begin(), plan.kv_windows.end()), plan.max_model_len,
        most_blocks_of_sequence(plan.kv_windows, plan.block_size, max_num_batched_tokens, plan.max_model_len)));
  }
  if (plan.weights_expanded) {
    info.notices.push_back(fmt::format("quantized weights are expanded to {} at load: {} of device memory",
                                       plan.compute, human_bytes(plan.weights_bytes)));
  }
  return info;
}

}  // namespace

Result<LoadedEngine> load_engine(const EngineConfig& config) {
  MHUB_TRY(const auto load_format, parse_load_format(config.load_format));
  MHUB_TRY(const auto policy, parse_policy(config.scheduling_policy));
  kernels::BackendOptions backend_options;
  MHUB_TRY(backend_options.compute, model::compute_for_dtype(config.dtype));
  backend_options.half_dtype = model::half_dtype(config.dtype);
  backend_options.num_threads = config.num_threads;
  backend_options.batch_invariant = config.batch_invariant;
  if (!config.token_texts.valid() || !config.first_token_texts.valid()) {
    return Error{ErrorCode::kInternal, "the token texts of the configuration are damaged", "", ""};
  }
  std::string why_cpu;
  MHUB_TRY(auto backend, model::make_backend(config.device, backend_options, config.backend_path, &why_cpu));
  if (config.batch_invariant && backend->facts().name == "cpu") {
    return Error{ErrorCode::kUsage, "--batch-invariant: the CPU back end has no such mode",
                 "leave it out, or use --device cuda", "batch-invariant"};
  }
  MHUB_TRY(auto model, model::LoadedModel::load(std::move(backend), runner_options(config, load_format)));
  LoadedEngine loaded;
  loaded.info = describe(*model, config.max_num_batched_tokens, why_cpu);
  loaded.scheduler.num_blocks = model->num_blocks();
  loaded.scheduler.block_size = model->block_size();
  loaded.scheduler.windows = model->kv_windows();
  loaded.scheduler.long_context_from = model->long_context_from();
  loaded.scheduler.max_model_len = model->max_model_len();
  loaded.scheduler.max_num_seqs = config.max_num_seqs;
  loaded.scheduler.max_num_batched_tokens = config.max_num_batched_tokens;
  loaded.scheduler.policy = policy;
  loaded.scheduler.enable_prefix_caching = config.enable_prefix_caching;
  std::random_device random;
  loaded.scheduler.hash_seed = (static_cast<uint64_t>(random()) << 32) | random();
  loaded.runner = std::move(model);
  if (config.token_texts.size() > 0) {
    loaded.vocabulary = std::make_shared<const constraint::Vocabulary>(config.token_texts, config.first_token_texts);
  }
  return loaded;
}

}  // namespace mhub::engine
