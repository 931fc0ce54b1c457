// SPDX-License-Identifier: Apache-2.0
#include "worker_supervisor.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace mhub::engine {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kPoll(100);
constexpr milliseconds kReapPatience(200);  // after its socket closed

Error worker_error(std::string what) {
  return {ErrorCode::kInternal, "the engine worker " + std::move(what), "send the request again in a moment", ""};
}

void add_counters(EngineStats& to, const EngineStats& from) {
  to.preemptions += from.preemptions;
  to.prefix_queries_tokens += from.prefix_queries_tokens;
  to.prefix_hit_tokens += from.prefix_hit_tokens;
  to.prompt_tokens += from.prompt_tokens;
  to.generation_tokens += from.generation_tokens;
  to.steps += from.steps;
}

}  // namespace

WorkerSupervisor::WorkerSupervisor(std::string executable, EngineConfig config, const WorkerTimings& timings,
                                   StreamRegistry& streams)
    : executable_(std::move(executable)), config_(std::move(config)), timings_(timings), streams_(streams) {
  thread_ = std::thread([this] { run(); });
}

WorkerSupervisor::~WorkerSupervisor() {
  std::shared_ptr<FrameSocket> socket;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    socket = socket_;
  }
  changed_.notify_all();
  if (socket) socket->send(ShutdownFrame{});
  thread_.join();
}

void WorkerSupervisor::run() {
  int failures = 0;
  while (!stopping()) {
    const Life life = run_worker();
    if (stopping()) break;
    {
      std::lock_guard lock(mutex_);
      if (!first_start_) {
        first_start_ = life.end;
        changed_.notify_all();
        return;
      }
    }
    failures = life.ready_for >= timings_.healthy_after ? 1 : failures + 1;
    if (failures > timings_.max_failures) return give_up(life.end);
    const milliseconds backoff =
        failures == 1 ? milliseconds(0)
                      : std::min(timings_.longest_backoff, timings_.first_backoff * (1 << std::min(failures - 2, 16)));
    spdlog::error("engine: worker ended error=\"{}\" failures={} restart_in_ms={}", life.end.one_line(), failures,
                  backoff.count());
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, backoff, [&] { return stopping_; });
  }
}

WorkerSupervisor::Life WorkerSupervisor::run_worker() {
  auto started = WorkerProcess::start(executable_);
  if (!started) return {started.error(), milliseconds(0)};
  WorkerProcess& process = **started;
  {
    std::lock_guard lock(mutex_);
    socket_ = process.socket();
    pid_ = process.pid();
    started_ = last_frame_ = Clock::now();
  }
  process.socket()->send(HelloFrame{kProtocolVersion, config_});
  std::optional<Clock::time_point> ready_since;
  Error end = listen(*process.socket(), ready_since);
  disconnect();
  const milliseconds grace = ready_since ? timings_.shutdown_grace : milliseconds(0);  // one that loads does not listen
  const std::string how = process.end(stopping() ? grace : kReapPatience);
  if (end.message.empty()) end = worker_error(how);
  streams_.fail_all(stopping() ? Error{ErrorCode::kUnavailable, "the engine was stopped", "", ""} : end);
  const auto lived = ready_since ? Clock::now() - *ready_since : Clock::duration::zero();
  return {end, std::chrono::duration_cast<milliseconds>(lived)};
}

Error WorkerSupervisor::listen(FrameSocket& socket, std::optional<Clock::time_point>& ready_since) {
  while (!stopping()) {
    Frame frame;
    const auto received = socket.receive(frame, kPoll);
    if (received == FrameSocket::Received::kClosed)
      return socket.error().empty() ? Error{} : worker_error(socket.error());
    if (received == FrameSocket::Received::kTimeout) {
      if (auto error = hung()) return *std::move(error);
      continue;
    }
    if (auto* step = std::get_if<StepFrame>(&frame)) {
      take_step(std::move(*step));
    } else if (const auto* stats = std::get_if<StatsFrame>(&frame)) {
      take_stats(stats->stats);
      if (auto error = hung()) return *std::move(error);
    } else if (std::holds_alternative<LoadingFrame>(frame)) {
      take_loading();
      if (auto error = hung()) return *std::move(error);
    } else if (auto* ready = std::get_if<ReadyFrame>(&frame)) {
      take_ready(std::move(*ready));
      ready_since = Clock::now();
    } else if (auto* fault = std::get_if<FaultFrame>(&frame)) {
      return std::move(fault->error);
    } else {
      return worker_error("sent a frame that only the server sends");
    }
  }
  return {};
}

void WorkerSupervisor::take_ready(ReadyFrame&& ready) {
  bool again = false;
  {
    std::lock_guard lock(mutex_);
    info_ = std::move(ready.info);
    stats_ = ready.stats;
    last_frame_ = Clock::now();
    up_ = true;
    again = first_start_.has_value();
    if (!again) first_start_ = info_;
  }
  changed_.notify_all();
  if (again) spdlog::info("engine: worker is ready again");
}

void WorkerSupervisor::take_loading() {
  std::lock_guard lock(mutex_);
  last_frame_ = Clock::now();
}

void WorkerSupervisor::take_step(StepFrame&& step) {
  take_stats(step.stats);
  for (auto& [id, delta] : step.deltas) streams_.deliver(id, std::move(delta));
}

void WorkerSupervisor::take_stats(const EngineStats& stats) {
  std::lock_guard lock(mutex_);
  stats_ = stats;
  last_frame_ = Clock::now();
}

std::chrono::duration<double> WorkerSupervisor::step_age() const {
  if (stats_.last_step_age_seconds == 0) return std::chrono::duration<double>(0);
  return std::chrono::duration<double>(stats_.last_step_age_seconds) + silence();
}

std::optional<Error> WorkerSupervisor::hung() const {
  std::lock_guard lock(mutex_);
  const bool silent = silence() > timings_.silent_killed;
  if (!up_ && (silent || Clock::now() - started_ > timings_.load_killed)) {
    return Error{ErrorCode::kInternal,
                 fmt::format("the engine worker {} while it loaded the model and was ended",
                             silent ? "said nothing" : "took too long"),
                 "see whether the device and the model's disk answer, then start the server again", ""};
  }
  if (silent) return worker_error("said nothing for too long and was ended");
  if (step_age() > timings_.step_killed) return worker_error("finished no step for too long and was ended");
  return std::nullopt;
}

// Shuts the socket before the streams are failed: a request sent later than this fails in send(), one sent before is
// in the registry by then.
void WorkerSupervisor::disconnect() {
  std::lock_guard lock(mutex_);
  if (!stopping_) socket_->shut_down();
  socket_.reset();
  up_ = false;
  pid_ = -1;
  add_counters(before_, stats_);
  const EngineStats last = stats_;
  stats_ = {};
  stats_.num_blocks = last.num_blocks;
  stats_.block_size = last.block_size;
}

void WorkerSupervisor::give_up(const Error& error) {
  std::function<void(Error)> callback;
  {
    std::lock_guard lock(mutex_);
    gave_up_ = Error{error.code,
                     fmt::format("the engine worker failed {} times in a row; the last time: {}",
                                 timings_.max_failures + 1, error.message),
                     error.hint, ""};
    callback = std::exchange(gave_up_callback_, nullptr);
  }
  if (callback) callback(*gave_up_);
}

void WorkerSupervisor::on_gave_up(std::function<void(Error)> callback) {
  std::optional<Error> already;
  {
    std::lock_guard lock(mutex_);
    already = gave_up_;
    if (!already) gave_up_callback_ = std::move(callback);
  }
  if (already) callback(*already);
}

Result<ModelInfo> WorkerSupervisor::wait_first_start(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, std::move(stop), [&] { return first_start_.has_value(); });
  if (first_start_) return *first_start_;
  return Error{ErrorCode::kTerminated, "loading the model: asked to stop before it was done", "", ""};
}

Result<std::shared_ptr<FrameSocket>> WorkerSupervisor::connection() const {
  std::lock_guard lock(mutex_);
  if (up_ && !stopping_) return socket_;
  return Error{ErrorCode::kUnavailable, "the engine worker is being restarted", "try again in a moment", ""};
}

EngineStats WorkerSupervisor::stats() const {
  std::lock_guard lock(mutex_);
  EngineStats stats = stats_;
  add_counters(stats, before_);
  stats.last_step_age_seconds = step_age().count();
  return stats;
}

ModelInfo WorkerSupervisor::info() const {
  std::lock_guard lock(mutex_);
  return info_;
}

bool WorkerSupervisor::ready() const {
  std::lock_guard lock(mutex_);
  return up_ && !stopping_ && silence() < timings_.silent_not_ready && step_age() < timings_.step_not_ready;
}

int WorkerSupervisor::pid() const {
  std::lock_guard lock(mutex_);
  return pid_;
}

bool WorkerSupervisor::stopping() const {
  std::lock_guard lock(mutex_);
  return stopping_;
}

}  // namespace mhub::engine
