// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <unordered_map>
#include <vector>

#include "active_request.h"
#include "mhub/constraint/compile_cache.h"
#include "mhub/engine/generator.h"
#include "mhub/model/model_runner.h"
#include "mhub/sched/scheduler.h"
#include "request_delta.h"

namespace mhub::engine {

// Who hears of the loop's work. Called on the engine thread, which waits for nobody: implementations must not block.
class StepListener {
 public:
  virtual ~StepListener() = default;
  // All deltas of a step at once. They may be moved from; their storage is used again.
  virtual void on_step(std::span<RequestDelta> deltas, const EngineStats& stats) = 0;
  // The runner threw: the loop is over. Nothing is called after it.
  virtual void on_fault(const Error& error) = 0;
};

// The engine thread: the only user of scheduler and runner. Everyone else hands it values.
class EngineLoop {
 public:
  // `config.num_blocks`, block_size and max_model_len are those of the runner. `listener` outlives the loop.
  // At most `max_queue` requests wait. Without a vocabulary no request can be constrained.
  EngineLoop(std::unique_ptr<model::ModelRunner> runner, const sched::SchedulerConfig& config, int64_t max_queue,
             StepListener& listener, std::shared_ptr<const constraint::Vocabulary> vocabulary = nullptr);
  ~EngineLoop();  // ends after the step that runs; requests still open hear nothing
  EngineLoop(const EngineLoop&) = delete;
  EngineLoop& operator=(const EngineLoop&) = delete;

  // Thread-safe, from here on. The request has passed check_request(). Errors: kOverloaded; kUnavailable after a fault;
  // those of the constraint, which is compiled on the caller's thread.
  Result<void> submit(RequestId id, GenerationRequest request);
  void cancel(RequestId id);  // idempotent
  EngineStats stats() const;
  bool faulted() const;

 private:
  struct Submission {
    RequestId id;
    GenerationRequest request;
    std::shared_ptr<const constraint::Constraint> constraint;
  };
  using Clock = std::chrono::steady_clock;

  void run();
  bool take_inbox();  // waits while there is nothing to do; false: the loop shall end
  // Plans and starts the next step, then ends the one before: the device does not wait for what the host does with its
  // results. Where a request's sampling needs the host, a step ends before the next is planned.
  void step();
  bool runs_ahead() const { return num_held_up_ == 0; }
  void start(const sched::ScheduledBatch& batch);
  void finish_oldest();
  // Whether the loop must not run ahead while the request is active.
  bool holds_up(const ActiveRequest& request) const;
  void forget(RequestId id);
  RequestDelta& next_delta(RequestId id);
  void publish();

  const std::unique_ptr<model::ModelRunner> runner_;
  const int64_t max_queue_;
  StepListener& listener_;
  const std::shared_ptr<const constraint::Vocabulary> vocabulary_;
  constraint::CompileCache compiled_;

  mutable std::mutex mutex_;
  std::condition_variable work_arrived_;
  std::vector<Submission> submissions_;  // guarded by mutex_, as is all up to faulted_
  std::vector<RequestId> cancellations_;
  EngineStats published_;
  Clock::time_point last_progress_ = Clock::now();
  bool busy_ = false, stopping_ = false, faulted_ = false;

  // Of the engine thread.
  sched::Scheduler scheduler_;
  std::unordered_map<RequestId, ActiveRequest> active_;
  EngineStats stats_;
  constraint::MatcherPool matchers_;
  std::vector<Submission> new_submissions_;
  std::vector<RequestId> new_cancellations_;
  bool unprepared_ = true;   // the runner has something left to do in idle times
  int64_t num_held_up_ = 0;  // active requests that the runner does not run ahead with
  std::vector<model::StepRow> rows_;
  std::array<std::vector<ActiveRequest::Row>, 2> in_flight_;  // rows of the steps in flight, used in turn
  size_t oldest_ = 0;
  std::vector<model::RowResult> results_;
  std::vector<sched::SeqResult> row_results_;
  std::vector<RequestDelta> deltas_;
  size_t num_deltas_ = 0;

  std::thread thread_;  // last: everything above is there when it starts
};

}  // namespace mhub::engine
