// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "frame_socket.h"
#include "mhub/engine/engine.h"
#include "stream_registry.h"
#include "worker_process.h"

namespace mhub::engine {

struct WorkerTimings {
  using ms = std::chrono::milliseconds;
  ms silent_not_ready{3'000};  // it sends something every 250 ms: while it loads, when idle and during a step
  ms silent_killed{10'000};
  ms load_killed{7'200'000};  // the largest model on a slow disk takes less
  ms step_not_ready{60'000};  // a step of a large prompt on a slow machine takes less
  ms step_killed{300'000};
  ms first_backoff{500};  // before the second restart in a row; doubles; the first is at once
  ms longest_backoff{30'000};
  ms healthy_after{30'000};  // a worker that lived so long starts the count of failures anew
  ms shutdown_grace{1'000};
  int max_failures = 8;  // in a row, then it gives up
};

// Keeps one worker process alive and feeds what it says to the streams. Its thread is the only one that starts, reads
// and ends workers. Everything public is thread-safe.
class WorkerSupervisor {
 public:
  WorkerSupervisor(std::string executable, EngineConfig config, const WorkerTimings& timings, StreamRegistry& streams);
  ~WorkerSupervisor();
  WorkerSupervisor(const WorkerSupervisor&) = delete;
  WorkerSupervisor& operator=(const WorkerSupervisor&) = delete;

  // The outcome of the first start. After an error nothing is tried again. kTerminated when `stop` comes first.
  Result<ModelInfo> wait_first_start(std::stop_token stop = {});
  // To the worker that is up; kUnavailable while there is none.
  Result<std::shared_ptr<FrameSocket>> connection() const;
  EngineStats stats() const;  // counters go on across restarts
  ModelInfo info() const;     // of the worker that is up, else of the last one
  bool ready() const;
  int pid() const;
  void on_gave_up(std::function<void(Error)> callback);

 private:
  using Clock = std::chrono::steady_clock;
  struct Life {  // of one worker
    Error end;
    std::chrono::milliseconds ready_for{0};
  };

  void run();
  Life run_worker();
  // What ended it: the worker's fault frame, silence, a closed socket.
  Error listen(FrameSocket& socket, std::optional<Clock::time_point>& ready_since);
  void take_ready(ReadyFrame&& ready);
  void take_loading();
  void take_step(StepFrame&& step);
  void take_stats(const EngineStats& stats);
  std::optional<Error> hung() const;
  void disconnect();
  void give_up(const Error& error);
  bool stopping() const;
  Clock::duration silence() const { return Clock::now() - last_frame_; }  // with mutex_
  std::chrono::duration<double> step_age() const;                         // with mutex_

  const std::string executable_;
  const EngineConfig config_;
  const WorkerTimings timings_;
  StreamRegistry& streams_;

  mutable std::mutex mutex_;  // guards all below but thread_
  std::condition_variable_any changed_;
  bool stopping_ = false;
  std::optional<Result<ModelInfo>> first_start_;
  std::shared_ptr<FrameSocket> socket_;  // of the worker that runs
  bool up_ = false;                      // it has said that it is ready
  int pid_ = -1;
  ModelInfo info_;
  EngineStats stats_, before_;  // of this worker; sums of the counters of those before it
  Clock::time_point started_, last_frame_;
  std::function<void(Error)> gave_up_callback_;
  std::optional<Error> gave_up_;

  std::thread thread_;
};

}  // namespace mhub::engine
