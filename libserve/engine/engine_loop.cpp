// SPDX-License-Identifier: Apache-2.0
#include "engine_loop.h"

#include <fmt/format.h>

#include "admission.h"
#include "mhub/base/check.h"

namespace mhub::engine {

EngineLoop::EngineLoop(std::unique_ptr<model::ModelRunner> runner, const sched::SchedulerConfig& config,
                       int64_t max_queue, StepListener& listener,
                       std::shared_ptr<const constraint::Vocabulary> vocabulary)
    : runner_(std::move(runner)),
      max_queue_(max_queue),
      listener_(listener),
      vocabulary_(std::move(vocabulary)),
      scheduler_(config),
      matchers_(vocabulary_) {
  stats_.num_blocks = config.num_blocks;
  stats_.block_size = config.block_size;
  published_ = stats_;
  thread_ = std::thread([this] { run(); });
}

EngineLoop::~EngineLoop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_arrived_.notify_one();
  thread_.join();
}

Result<void> EngineLoop::submit(RequestId id, GenerationRequest request) {
  std::shared_ptr<const constraint::Constraint> constraint;
  if (request.constraint.kind != constraint::Spec::Kind::kNone) {
    if (!vocabulary_) return no_token_texts();
    MHUB_TRY(constraint, compiled_.compile(request.constraint));
  }
  {
    std::lock_guard lock(mutex_);
    if (faulted_) return Error{ErrorCode::kUnavailable, "the engine has failed", "restart the server", ""};
    const int64_t waiting = published_.waiting + static_cast<int64_t>(submissions_.size());
    if (waiting >= max_queue_) return queue_full(waiting, max_queue_);
    if (!busy_ && submissions_.empty()) last_progress_ = Clock::now();
    submissions_.push_back({id, std::move(request), std::move(constraint)});
  }
  work_arrived_.notify_one();
  return {};
}

void EngineLoop::cancel(RequestId id) {
  {
    std::lock_guard lock(mutex_);
    cancellations_.push_back(id);
  }
  work_arrived_.notify_one();
}

EngineStats EngineLoop::stats() const {
  std::lock_guard lock(mutex_);
  EngineStats stats = published_;
  stats.waiting += static_cast<int64_t>(submissions_.size());
  if (busy_ || !submissions_.empty()) {
    stats.last_step_age_seconds = std::chrono::duration<double>(Clock::now() - last_progress_).count();
  }
  return stats;
}

bool EngineLoop::faulted() const {
  std::lock_guard lock(mutex_);
  return faulted_;
}

// The one place where a bug or a lost device is caught: it ends every request, never the process.
void EngineLoop::run() {
  Error fault;
  try {
    while (take_inbox()) step();
    return;
  } catch (const kernels::BackendError& e) {
    fault = {ErrorCode::kDevice, fmt::format("the back end failed during a step: {}", e.what()), "", ""};
  } catch (const std::exception& e) {
    fault = {ErrorCode::kInternal, fmt::format("the engine failed during a step: {}", e.what()), "", ""};
  }
  {
    std::lock_guard lock(mutex_);
    faulted_ = true;
    busy_ = false;
    submissions_.clear();
  }
  listener_.on_fault(fault);
}

bool EngineLoop::take_inbox() {
  {
    std::unique_lock lock(mutex_);
    busy_ = !scheduler_.idle() || scheduler_.num_in_flight() > 0;
    const auto has_work = [&] { return stopping_ || busy_ || !submissions_.empty() || !cancellations_.empty(); };
    while (unprepared_ && !has_work()) {
      lock.unlock();
      unprepared_ = runner_->prepare_more();
      lock.lock();
    }
    work_arrived_.wait(lock, has_work);
    if (stopping_) return false;
    busy_ = busy_ || !submissions_.empty();
    new_submissions_.swap(submissions_);
    published_.waiting += static_cast<int64_t>(new_submissions_.size());
    new_cancellations_.swap(cancellations_);
  }
  for (auto& [id, request, constraint] : new_submissions_) {
    stats_.prompt_tokens += request.prompt.size();
    auto sequence = ActiveRequest::make_sequence(id, request);
    std::optional<constraint::Matcher> matcher;
    if (constraint) matcher.emplace(matchers_.start(std::move(constraint)));
    const auto active = active_.emplace(id, ActiveRequest(std::move(request.params), std::move(matcher))).first;
    if (holds_up(active->second)) ++num_held_up_;
    const auto added = scheduler_.add(std::move(sequence));
    MHUB_CHECK(added.has_value());  // check_request() said so
  }
  for (const RequestId id : new_cancellations_) {
    scheduler_.cancel(id);
    forget(id);
  }
  new_submissions_.clear();
  new_cancellations_.clear();
  return true;
}

bool EngineLoop::holds_up(const ActiveRequest& request) const {
  return request.constrained() || !runner_->runs_ahead(request.params());
}

void EngineLoop::forget(RequestId id) {
  const auto found = active_.find(id);
  if (found == active_.end()) return;
  if (holds_up(found->second)) --num_held_up_;
  active_.erase(found);
}

void EngineLoop::step() {
  if (!runs_ahead() && scheduler_.num_in_flight() > 0) finish_oldest();
  matchers_.trim();
  const auto& batch = scheduler_.schedule();
  publish();
  if (!batch.empty()) start(batch);
  const int leave = runs_ahead() && !batch.empty() ? 1 : 0;
  if (scheduler_.num_in_flight() > leave) return finish_oldest();
  MHUB_CHECK(!batch.empty() || scheduler_.idle());
}

void EngineLoop::start(const sched::ScheduledBatch& batch) {
  const auto behind = static_cast<size_t>(scheduler_.num_in_flight() - 1);
  auto& in_flight = in_flight_[(oldest_ + behind) % in_flight_.size()];
  in_flight.clear();
  rows_.clear();
  for (const auto& scheduled : batch.seqs) {
    rows_.push_back(active_.at(scheduled.id).make_row(scheduled));
    in_flight.push_back({scheduled.id, scheduled.start + static_cast<int64_t>(scheduled.tokens.size()),
                         static_cast<int64_t>(scheduled.output.size()) + 1, scheduled.sample,
                         scheduler_.num_cached_tokens(scheduled.id)});
  }
  runner_->submit(rows_);
}

// Rows of requests that ended after the step was planned have nobody to be told.
void EngineLoop::finish_oldest() {
  runner_->collect(results_);
  const auto& rows = in_flight_[oldest_];
  oldest_ = (oldest_ + 1) % in_flight_.size();
  MHUB_CHECK(results_.size() == rows.size());
  row_results_.clear();
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto request = active_.find(rows[i].id);
    row_results_.push_back(request == active_.end() ? sched::SeqResult{rows[i].id, std::nullopt, std::nullopt}
                                                    : request->second.take(rows[i], std::move(results_[i])));
  }
  num_deltas_ = 0;
  size_t row = 0;
  for (const auto& update : scheduler_.commit(row_results_)) {
    while (rows[row].id != update.id) ++row;  // updates come in the order of the rows
    active_.at(update.id).fill_delta(update, rows[row].cached_tokens, next_delta(update.id).delta);
    if (update.token) ++stats_.generation_tokens;
    if (update.finish) forget(update.id);
  }
  ++stats_.steps;
  {
    std::lock_guard lock(mutex_);
    last_progress_ = Clock::now();
  }
  publish();
  listener_.on_step(std::span(deltas_).first(num_deltas_), stats_);
}

// The deltas of the last step, emptied: their vectors keep their memory.
RequestDelta& EngineLoop::next_delta(RequestId id) {
  if (num_deltas_ == deltas_.size()) deltas_.emplace_back();
  RequestDelta& next = deltas_[num_deltas_++];
  next.id = id;
  next.delta.tokens.clear();
  next.delta.logprobs.clear();
  next.delta.prompt_logprobs.clear();
  next.delta.finish.reset();
  next.delta.stop_token.reset();
  next.delta.error.reset();
  next.delta.cached_tokens = 0;
  return next;
}

void EngineLoop::publish() {
  const auto scheduler = scheduler_.stats();
  stats_.running = scheduler.running;
  stats_.waiting = scheduler.waiting;
  stats_.blocks_held = scheduler.blocks_held;
  stats_.preemptions = scheduler.preemptions;
  stats_.prefix_queries_tokens = scheduler.prefix_queries_tokens;
  stats_.prefix_hit_tokens = scheduler.prefix_hit_tokens;
  std::lock_guard lock(mutex_);
  published_ = stats_;
}

}  // namespace mhub::engine
