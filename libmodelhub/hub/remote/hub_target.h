// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/hub/model_library.h"
#include "mhub/registry/registry.h"
#include "remote/hub_api.h"

namespace mhub::hub {

// Where a download comes from, decided once from MODEL, the options and the configuration.
struct HubTarget {
  Repository repository;
  std::string source;             // for the registry: "modelscope", "huggingface", or "mirror" for a bare URL
  std::optional<Source> dialect;  // nullopt: a bare URL, to be probed
  std::string revision;           // "" = the dialect's default
};

// `rows`: what is registered (a name without a prefix means what it meant before). kUsage.
Result<HubTarget> choose_target(const ModelRef& ref, const DownloadOptions& options, const HubConfig& config,
                                const std::vector<registry::ModelRecord>& rows);

// The API to ask; probes a bare URL: Hugging Face's info route, then ModelScope's listing.
Result<std::unique_ptr<HubApi>> open_hub(const HubTarget& target, HttpTransport& transport, RetryPolicy policy,
                                         std::stop_token stop);

}  // namespace mhub::hub
