// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "mhub/engine/generator.h"

namespace mhub::http {

// /metrics with vLLM's names, labels and bucket boundaries (finer ones added). Thread-safe.
class Metrics {
 public:
  Metrics(const std::string& model_name, bool enable_prefix_caching);
  ~Metrics();

  // Follows one choice from its submission. Destroyed before finish(): counted as aborted.
  class RequestTimer {
   public:
    RequestTimer(RequestTimer&& other) noexcept { *this = std::move(other); }
    RequestTimer& operator=(RequestTimer&& other) noexcept;
    ~RequestTimer();
    void on_tokens(size_t count);
    void finish(const std::string& reason);

   private:
    friend class Metrics;
    RequestTimer() = default;
    Metrics* metrics_ = nullptr;  // null once finished or moved from
    std::chrono::steady_clock::time_point begin_{}, first_{}, last_{};
    size_t tokens_ = 0;
  };
  void count_request(int n);
  RequestTimer start_request(size_t prompt_tokens, int64_t max_tokens);

  // The text exposition format, with the engine's own counters at this moment.
  std::string text(const engine::EngineStats& stats, const engine::ModelInfo& info) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mhub::http
