// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <thread>

#include "mhub/engine/engine.h"
#include "read_stream.h"
#include "support/fake_runner.h"

namespace mhub::engine::test {

using mhub::test::fake_generate;
constexpr int32_t kVocab = mhub::test::FakeRunner::kVocab;

// An Engine over the fake runner.
struct FakeEngine {
  explicit FakeEngine(int64_t max_queue = 1000, int64_t num_blocks = 256, bool ahead = false, int unprepared = 0) {
    controls->ahead = ahead;
    controls->unprepared = unprepared;
    config.num_blocks = num_blocks;
    config.block_size = 4;
    config.max_model_len = 200;
    config.max_num_seqs = 8;
    config.max_num_batched_tokens = 64;
    engine = Engine::create(std::make_unique<mhub::test::FakeRunner>(config, controls), config, max_queue);
  }
  ~FakeEngine() { controls->hold = false; }  // else the engine's thread could not end
  std::unique_ptr<TokenStream> submit(GenerationRequest made) {
    auto stream = engine->submit(std::move(made));
    EXPECT_TRUE(stream) << stream.error().message;
    return *std::move(stream);
  }
  bool becomes_idle() {
    return eventually([&] {
      const auto stats = engine->stats();
      return stats.running == 0 && stats.waiting == 0 && stats.blocks_held == 0;
    });
  }

  sched::SchedulerConfig config;
  std::shared_ptr<mhub::test::FakeRunnerControls> controls = std::make_shared<mhub::test::FakeRunnerControls>();
  std::unique_ptr<Engine> engine;
};

}  // namespace mhub::engine::test
