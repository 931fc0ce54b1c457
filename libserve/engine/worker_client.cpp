// SPDX-License-Identifier: Apache-2.0
#include <atomic>

#include "admission.h"
#include "mhub/engine/engine.h"
#include "worker_supervisor.h"

namespace mhub::engine {

struct WorkerClient::State {
  State(const std::string& executable, const EngineConfig& config)
      : max_queue(config.max_queue),
        max_num_batched_tokens(config.max_num_batched_tokens),
        supervisor(executable, config, WorkerTimings{}, streams) {}

  Result<void> admit(const GenerationRequest& request) const {
    const EngineStats stats = supervisor.stats();
    sched::SchedulerConfig limits;
    limits.num_blocks = stats.num_blocks;
    limits.block_size = stats.block_size;
    limits.max_num_batched_tokens = max_num_batched_tokens;
    const ModelInfo loaded = supervisor.info();
    limits.max_model_len = loaded.max_model_len;
    limits.windows = loaded.kv_windows;
    MHUB_CHECK_OK(check_request(request, info.vocab_size, limits));
    const int64_t waiting = static_cast<int64_t>(streams.size()) - stats.running;
    if (waiting >= max_queue) return queue_full(waiting, max_queue);
    return {};
  }
  void drop(RequestId id) {
    streams.close(id);
    if (const auto socket = supervisor.connection()) (*socket)->send(CancelFrame{id});
  }

  const int64_t max_queue, max_num_batched_tokens;
  ModelInfo info;  // set once, before anyone else sees it
  std::atomic<RequestId> next_id{1};
  StreamRegistry streams;
  WorkerSupervisor supervisor;  // last: its thread uses the streams
};

Result<std::unique_ptr<WorkerClient>> WorkerClient::start(const std::string& executable, const EngineConfig& config,
                                                          std::stop_token stop) {
  auto state = std::make_shared<State>(executable, config);
  MHUB_TRY(state->info, state->supervisor.wait_first_start(std::move(stop)));
  return std::unique_ptr<WorkerClient>(new WorkerClient(std::move(state)));
}

WorkerClient::WorkerClient(std::shared_ptr<State> state) : state_(std::move(state)) {}
WorkerClient::~WorkerClient() = default;

Result<std::unique_ptr<TokenStream>> WorkerClient::submit(GenerationRequest request) {
  MHUB_TRY(const auto socket, state_->supervisor.connection());
  MHUB_CHECK_OK(state_->admit(request));
  const RequestId id = state_->next_id++;
  auto stream = state_->streams.open(id, [weak = std::weak_ptr(state_)](RequestId dropped) {
    if (const auto state = weak.lock()) state->drop(dropped);
  });
  if (!socket->send(SubmitFrame{id, std::move(request)})) {
    return Error{ErrorCode::kUnavailable, "the engine worker has just ended", "try again in a moment", ""};
  }
  return stream;
}

EngineStats WorkerClient::stats() const {
  return state_->supervisor.stats();
}
const ModelInfo& WorkerClient::info() const {
  return state_->info;
}
bool WorkerClient::ready() const {
  return state_->supervisor.ready();
}
void WorkerClient::on_gave_up(std::function<void(Error)> callback) {
  state_->supervisor.on_gave_up(std::move(callback));
}
int WorkerClient::worker_pid() const {
  return state_->supervisor.pid();
}

}  // namespace mhub::engine
