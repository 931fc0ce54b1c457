// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/hub/model_library.h"

namespace mhub::hub {

// One thing that was looked at. `code` says which exit code a failure means.
struct Finding {
  enum class State { kGood, kWarning, kFailed } state = State::kGood;
  std::string name, detail, hint;
  ErrorCode code = ErrorCode::kInternal;
};

// What downloads and the store need of this machine, each tried out. Nothing is left behind.
std::vector<Finding> examine_disk(const std::filesystem::path& home);
// Name, connection, TLS and an answer of each hub, its clock against ours, the proxy, the certificates.
std::vector<Finding> examine_network(const HubConfig& config, std::stop_token stop);
// Bytes a second of one file of `model` from each endpoint: up to 16 MiB of its largest file, in memory.
Result<std::vector<Finding>> measure_sources(ModelLibrary& library, const ModelRef& model, std::stop_token stop);
// Of a processor's flags as /proc/cpuinfo has them, those that the engine uses.
Finding examine_processor(const std::string& cpuinfo);

}  // namespace mhub::hub
