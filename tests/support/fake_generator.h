// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "mhub/engine/generator.h"

namespace mhub::test {

// A Generator without a model: answers each request with what `script` returns for it, delta by delta. A script that
// does not end with `finish` leaves its stream hanging, as a slow model would.
class FakeGenerator final : public engine::Generator {
 public:
  using Script = std::function<std::vector<engine::TokenDelta>(const engine::GenerationRequest&)>;

  explicit FakeGenerator(Script script) : script_(std::move(script)) {
    info_.vocab_size = 260;
    info_.max_model_len = 64;
    info_.eos_token_ids = {257};
    info_.kv_dtype = "float16";
  }

  Result<std::unique_ptr<engine::TokenStream>> submit(engine::GenerationRequest request) override {
    const std::lock_guard lock(mutex_);
    if (refusal_) return *refusal_;
    requests_.push_back(request);
    return std::unique_ptr<engine::TokenStream>(new Stream(script_(request), live_));
  }
  engine::EngineStats stats() const override {
    const std::lock_guard lock(mutex_);
    return stats_;
  }
  const engine::ModelInfo& info() const override { return info_; }
  bool ready() const override { return ready_; }

  std::vector<engine::GenerationRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  void refuse_with(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    refusal_ = std::move(error);
  }
  void set_stats(const engine::EngineStats& stats) {
    const std::lock_guard lock(mutex_);
    stats_ = stats;
  }
  void set_ready(bool ready) { ready_ = ready; }
  int live_streams() const { return live_; }

  // One delta per token; the last one finishes.
  static std::vector<engine::TokenDelta> tokens(const std::vector<engine::TokenId>& ids, engine::FinishReason finish) {
    std::vector<engine::TokenDelta> out;
    for (const auto id : ids) {
      engine::TokenDelta delta;
      delta.tokens = {id};
      out.push_back(delta);
    }
    out.back().finish = finish;
    return out;
  }

 private:
  class Stream final : public engine::TokenStream {
   public:
    Stream(std::vector<engine::TokenDelta> deltas, std::atomic<int>& live) : deltas_(std::move(deltas)), live_(live) {
      ++live_;
    }
    ~Stream() override { --live_; }
    std::optional<engine::TokenDelta> next(std::chrono::milliseconds timeout) override {
      if (next_ < deltas_.size()) return deltas_[next_++];
      std::this_thread::sleep_for(timeout);
      return std::nullopt;
    }

   private:
    std::vector<engine::TokenDelta> deltas_;
    size_t next_ = 0;
    std::atomic<int>& live_;
  };

  const Script script_;
  engine::ModelInfo info_;
  std::atomic<bool> ready_{true};
  std::atomic<int> live_{0};
  mutable std::mutex mutex_;
  // guarded by mutex_
  std::optional<Error> refusal_;
  std::vector<engine::GenerationRequest> requests_;
  engine::EngineStats stats_;
};

}  // namespace mhub::test
