// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/resource.h>

#include <condition_variable>
#include <csignal>
#include <limits>
#include <mutex>
#include <new>
#include <thread>

#include "admission.h"
#include "engine_loop.h"
#include "frame_socket.h"
#include "load_engine.h"

namespace mhub::engine {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
constexpr milliseconds kHelloPatience(10'000);
constexpr milliseconds kStatsEvery(250);

class SocketListener final : public StepListener {
 public:
  explicit SocketListener(FrameSocket& socket) : socket_(socket) {}
  void on_step(std::span<RequestDelta> deltas, const EngineStats& stats) override { socket_.send_step(stats, deltas); }
  void on_fault(const Error& error) override {
    socket_.send(FaultFrame{error});
    socket_.shut_down();
  }

 private:
  FrameSocket& socket_;
};

Result<EngineConfig> receive_config(FrameSocket& socket) {
  Frame frame;
  if (socket.receive(frame, kHelloPatience) != FrameSocket::Received::kFrame || !std::get_if<HelloFrame>(&frame)) {
    return Error{ErrorCode::kUsage, "engine-worker got no configuration over its socket",
                 "it is started by `mhub serve`, not by hand", ""};
  }
  const auto& hello = std::get<HelloFrame>(frame);
  if (hello.version != kProtocolVersion) {
    return Error{ErrorCode::kInternal,
                 fmt::format("engine-worker speaks protocol {}, the server {}", kProtocolVersion, hello.version),
                 "restart the server: the program was replaced while it ran", ""};
  }
  return hello.config;
}

// Says that the process lives while the model loads.
class LoadingBeat {
 public:
  explicit LoadingBeat(FrameSocket& socket)
      : thread_([&socket](std::stop_token stop) {
          std::mutex mutex;
          std::condition_variable_any stopped;
          std::unique_lock lock(mutex);
          while (!stop.stop_requested()) {
            socket.send(LoadingFrame{});
            stopped.wait_for(lock, stop, kStatsEvery, [] { return false; });
          }
        }) {}

 private:
  std::jthread thread_;
};

Result<LoadedEngine> load(const EngineConfig& config, FrameSocket& socket) {
  const LoadingBeat beat(socket);
  try {
    return load_engine(config);
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kDevice, "out of memory while loading the model", "free memory or choose a smaller model",
                 ""};
  } catch (const std::exception& e) {
    return Error{ErrorCode::kInternal, fmt::format("loading the model failed: {}", e.what()), "", ""};
  }
}

class Worker {
 public:
  Worker(FrameSocket& socket, LoadedEngine loaded)
      : socket_(socket),
        vocab_size_(loaded.runner->vocab_size()),
        scheduler_(loaded.scheduler),
        listener_(socket),
        // The server counts who waits and refuses; what it has sent is taken.
        loop_(std::move(loaded.runner), scheduler_, std::numeric_limits<int64_t>::max(), listener_,
              std::move(loaded.vocabulary)) {
    socket_.send(ReadyFrame{std::move(loaded.info), loop_.stats()});
  }

  void serve() {
    auto next_stats = Clock::now() + kStatsEvery;
    for (;;) {
      const auto left = std::chrono::duration_cast<milliseconds>(next_stats - Clock::now());
      Frame frame;
      const auto received = socket_.receive(frame, std::max(left, milliseconds(0)));
      if (received == FrameSocket::Received::kClosed) return;
      if (received == FrameSocket::Received::kFrame && !handle(std::move(frame))) return;
      if (Clock::now() < next_stats) continue;
      socket_.send(StatsFrame{loop_.stats()});
      next_stats = Clock::now() + kStatsEvery;
    }
  }

 private:
  bool handle(Frame frame) {
    if (auto* submit = std::get_if<SubmitFrame>(&frame)) {
      auto taken = check_request(submit->request, vocab_size_, scheduler_);
      if (taken) taken = loop_.submit(submit->id, std::move(submit->request));
      if (!taken) refuse(submit->id, taken.error());
    } else if (const auto* cancel = std::get_if<CancelFrame>(&frame)) {
      loop_.cancel(cancel->id);
    }
    return !std::holds_alternative<ShutdownFrame>(frame);
  }
  void refuse(RequestId id, const Error& error) {
    const RequestDelta refused{id, error_delta(error)};
    socket_.send_step(loop_.stats(), std::span(&refused, 1));
  }

  FrameSocket& socket_;
  const int64_t vocab_size_;
  const sched::SchedulerConfig scheduler_;
  SocketListener listener_;
  EngineLoop loop_;
};

}  // namespace

int run_engine_worker(int fd) {
  signal(SIGTERM, SIG_DFL);
  signal(SIGINT, SIG_DFL);
  const rlimit no_core{0, 0};  // a core file would hold prompts
  setrlimit(RLIMIT_CORE, &no_core);

  FrameSocket socket(fd);
  auto config = receive_config(socket);
  auto loaded = config ? load(*config, socket) : Result<LoadedEngine>(config.error());
  if (!loaded) {
    socket.send(FaultFrame{loaded.error()});
    return error_info(loaded.error().code).exit_code;
  }
  Worker(socket, *std::move(loaded)).serve();
  return 0;
}

}  // namespace mhub::engine
