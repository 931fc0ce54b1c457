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
  std::vector<Repository> others;  // the same at further endpoints, to be tried in this order
  std::string source;              // for the registry: "modelscope", "huggingface", or "mirror" for a bare URL
  std::optional<Source> dialect;   // nullopt: a bare URL, to be probed
  std::string revision;            // "" = the dialect's default
};

// An endpoint as typed: scheme added where missing, no '/' at the end. kUsage.
Result<std::string> checked_endpoint(std::string text);

// Whether the next endpoint may do better after this error.
bool another_endpoint_may_help(const Error& error);

// `rows`: what is registered (a name without a prefix means what it meant before). kUsage.
Result<HubTarget> choose_target(const ModelRef& ref, const DownloadOptions& options, const HubConfig& config,
                                const std::vector<registry::ModelRecord>& rows);

// What its row is called: "org/name", for a dataset "datasets/org/name".
std::string registry_name(const Repository& repository);

// Fills in tokens of the token store where none was given.
Result<void> add_stored_tokens(HubTarget& target, const HubConfig& config);

// The API to ask; probes a bare URL: Hugging Face's info route, then ModelScope's listing.
Result<std::unique_ptr<HubApi>> open_hub(const HubTarget& target, HttpTransport& transport, RetryPolicy policy,
                                         std::stop_token stop);

}  // namespace mhub::hub
