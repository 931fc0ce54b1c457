// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "protocol.h"

namespace mhub::engine::test {

// One of each frame, every field set.
inline std::vector<Frame> sample_frames() {
  const EngineStats stats{1, 2, 3, 4, 16, 5, 6, 7, 8, 9, 10, 1.5};
  const PositionLogprobs position{{7, -0.5f, 2}, {{8, -0.25f, 1}, {7, -0.5f, 2}}};
  EngineConfig config;
  config.model = "/models/m.gguf";
  config.enable_prefix_caching = false;
  config.seed = 99;
  config.scheduling_policy = "priority";
  config.sampled_vocab = 1234;
  config.token_texts.add("a");
  config.token_texts.add("bc");
  config.batch_invariant = true;
  ModelInfo info;
  info.architecture = "LlamaForCausalLM";
  info.eos_token_ids = {1, 2};
  info.notices = {"a", "", "b"};
  info.kv_windows = {0, 512};
  GenerationRequest request;
  request.prompt = {1, 2, 3};
  request.cache_scope = "scope";
  request.priority = -3;
  request.params.logit_bias = {{5, -100.0f}, {6, 2.5f}};
  request.params.stop_token_ids = {2};
  request.params.logprobs = 4;
  request.params.bad_words = {{4, 5}, {6}};
  request.constraint = {constraint::Spec::Kind::kRegex, "a+", false, true, " "};
  StepFrame step{stats, {}};
  step.deltas.resize(2);
  step.deltas[0] = {42, {{5, 6}, {position, position}, {position}, FinishReason::kStop, 6, std::nullopt, 16}};
  step.deltas[1] = {43, {{}, {}, {}, FinishReason::kError, std::nullopt, Error{ErrorCode::kDevice, "m", "h", "p"}, 0}};
  return {HelloFrame{kProtocolVersion, config},
          ReadyFrame{info, stats},
          FaultFrame{{ErrorCode::kBadModel, "m", "h", "p"}},
          SubmitFrame{77, request},
          CancelFrame{77},
          step,
          StatsFrame{stats},
          ShutdownFrame{},
          LoadingFrame{}};
}

}  // namespace mhub::engine::test
