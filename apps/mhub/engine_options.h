// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace mhub::apps {

// The options that `serve` and `bench` share. What the bound variables hold is the default that help shows.
struct EngineOptionRefs {
  int64_t& max_num_batched_tokens;
  int64_t& block_size;
  double& gpu_memory_utilization;
  std::string& dtype;
  std::string& device;
  std::string& load_format;
  int& num_threads;
};
void add_engine_options(CLI::App& command, const EngineOptionRefs& options);

}  // namespace mhub::apps
