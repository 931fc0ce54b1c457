// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "mhub/constraint/vocabulary.h"
#include "mhub/engine/generator.h"
#include "mhub/model/model_runner.h"
#include "mhub/sched/scheduler.h"

namespace mhub::engine {

struct EngineConfig {
  std::string model;            // directory or GGUF path
  std::string device = "auto";  // auto | cpu | cuda
  std::string dtype = "auto";
  std::string load_format = "auto";
  int64_t max_model_len = 0;
  int64_t max_num_seqs = model::kMaxNumSeqs.standard;
  int64_t max_num_batched_tokens = model::kMaxNumBatchedTokens.standard;
  int64_t block_size = model::kBlockSize.standard;
  bool enable_prefix_caching = true;
  double gpu_memory_utilization = model::kGpuMemoryUtilization.standard;
  uint64_t kv_cache_memory_bytes = 0;
  std::string scheduling_policy = "fcfs";  // fcfs | priority (a request's priority, then its arrival)
  uint64_t seed = 0;
  int64_t max_queue = 512;       // requests waiting beyond this are refused with kOverloaded
  int num_threads = 0;           // 0 = physical cores
  std::string backend_path;      // where libmhub_cuda.so is looked for
  bool batch_invariant = false;  // answers do not depend on the batch or on how prompts are cut; slower, CUDA only
  int64_t sampled_vocab = 0;     // ids below it may be generated (embeddings are padded); 0 = all
  // What tokens add to a text, behind others and (where that differs) as the first of an answer; none: no constraints.
  constraint::TokenTexts token_texts, first_token_texts;
};

// The engine loop in this process: one thread owns scheduler and runner. Used by tests, bench and quantize.
class Engine final : public Generator {
 public:
  // Loads the model and starts the loop. Errors: kBadModel, kDevice, kUsage.
  static Result<std::unique_ptr<Engine>> create(const EngineConfig& config);
  // Around any runner (tests).
  static std::unique_ptr<Engine> create(std::unique_ptr<model::ModelRunner> runner, const sched::SchedulerConfig& sched,
                                        int64_t max_queue, ModelInfo info = {},
                                        std::shared_ptr<const constraint::Vocabulary> vocabulary = nullptr);
  ~Engine() override;
  Result<std::unique_ptr<TokenStream>> submit(GenerationRequest request) override;
  EngineStats stats() const override;
  const ModelInfo& info() const override;
  bool ready() const override;

 private:
  struct State;
  explicit Engine(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // streams refer to it weakly
};

// Body of the hidden `mhub engine-worker`: serves one EngineLoop over the connected socket `fd` until it closes.
// Returns the process exit code.
int run_engine_worker(int fd);

// Starts `executable engine-worker`, keeps it alive (restart with back-off) and forwards to it.
class WorkerClient final : public Generator {
 public:
  // Starts the first worker and waits until it is ready or has failed for good; its error comes back as it was. When
  // `stop` comes first the worker is ended: kTerminated.
  static Result<std::unique_ptr<WorkerClient>> start(const std::string& executable, const EngineConfig& config,
                                                     std::stop_token stop = {});
  ~WorkerClient() override;
  Result<std::unique_ptr<TokenStream>> submit(GenerationRequest request) override;
  EngineStats stats() const override;
  const ModelInfo& info() const override;
  bool ready() const override;
  // Called once when restarts do not help any more (the server must exit non-zero).
  void on_gave_up(std::function<void(Error)> callback);
  int worker_pid() const;  // -1 while there is none

 private:
  struct State;
  explicit WorkerClient(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace mhub::engine
