// SPDX-License-Identifier: Apache-2.0
#include "mhub/engine/engine.h"

#include <atomic>

#include "admission.h"
#include "engine_loop.h"
#include "load_engine.h"
#include "stream_registry.h"

namespace mhub::engine {
namespace {

// A step of the slowest model takes less; after that the engine counts as hung.
constexpr double kHungAfterSeconds = 60;

// Gives what the loop produces to the streams of this process.
class StreamListener final : public StepListener {
 public:
  explicit StreamListener(StreamRegistry& streams) : streams_(streams) {}
  void on_step(std::span<RequestDelta> deltas, const EngineStats&) override {
    for (auto& [id, delta] : deltas) streams_.deliver(id, std::move(delta));
  }
  void on_fault(const Error& error) override { streams_.fail_all(error); }

 private:
  StreamRegistry& streams_;
};

}  // namespace

struct Engine::State {
  State(std::unique_ptr<model::ModelRunner> runner, const sched::SchedulerConfig& config, int64_t max_queue,
        ModelInfo model_info, std::shared_ptr<const constraint::Vocabulary> vocabulary)
      : info(std::move(model_info)),
        vocab_size(runner->vocab_size()),
        scheduler(config),
        loop(std::move(runner), config, max_queue, listener, std::move(vocabulary)) {}

  ModelInfo info;
  const int64_t vocab_size;
  sched::SchedulerConfig scheduler;
  StreamRegistry streams;
  StreamListener listener{streams};
  std::atomic<RequestId> next_id{1};
  EngineLoop loop;  // last: its thread uses the streams
};

Result<std::unique_ptr<Engine>> Engine::create(const EngineConfig& config) {
  MHUB_TRY(auto loaded, load_engine(config));
  return create(std::move(loaded.runner), loaded.scheduler, config.max_queue, std::move(loaded.info),
                std::move(loaded.vocabulary));
}

std::unique_ptr<Engine> Engine::create(std::unique_ptr<model::ModelRunner> runner, const sched::SchedulerConfig& sched,
                                       int64_t max_queue, ModelInfo info,
                                       std::shared_ptr<const constraint::Vocabulary> vocabulary) {
  return std::unique_ptr<Engine>(
      new Engine(std::make_shared<State>(std::move(runner), sched, max_queue, std::move(info), std::move(vocabulary))));
}

Engine::Engine(std::shared_ptr<State> state) : state_(std::move(state)) {}

Engine::~Engine() {
  state_->streams.fail_all({ErrorCode::kUnavailable, "the engine was stopped", "", ""});
}

Result<std::unique_ptr<TokenStream>> Engine::submit(GenerationRequest request) {
  MHUB_CHECK_OK(check_request(request, state_->vocab_size, state_->scheduler));
  const RequestId id = state_->next_id++;
  auto stream = state_->streams.open(id, [weak = std::weak_ptr(state_)](RequestId dropped) {
    if (const auto state = weak.lock()) {
      state->streams.close(dropped);
      state->loop.cancel(dropped);
    }
  });
  const auto submitted = state_->loop.submit(id, std::move(request));
  if (!submitted) return submitted.error();  // dropping the stream closes it
  return stream;
}

EngineStats Engine::stats() const {
  return state_->loop.stats();
}
const ModelInfo& Engine::info() const {
  return state_->info;
}
bool Engine::ready() const {
  return !state_->loop.faulted() && state_->loop.stats().last_step_age_seconds < kHungAfterSeconds;
}

}  // namespace mhub::engine
