// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "mhub/engine/engine.h"

namespace mhub::engine {

// A model with everything an engine loop needs to know about it.
struct LoadedEngine {
  std::unique_ptr<model::ModelRunner> runner;
  sched::SchedulerConfig scheduler;
  ModelInfo info;
  std::shared_ptr<const constraint::Vocabulary> vocabulary;  // null: requests cannot be constrained
};
// Errors: kBadModel, kDevice, kUsage.
Result<LoadedEngine> load_engine(const EngineConfig& config);

}  // namespace mhub::engine
