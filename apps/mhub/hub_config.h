// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "mhub/base/result.h"
#include "mhub/hub/model_library.h"

namespace mhub::apps {

// What the options of a transfer may be, on the command line as in the environment. Their defaults are HubConfig's.
template <class T>
struct OptionRange {
  T smallest, largest;
};
inline constexpr OptionRange<int> kMaxWorkers{1, 64}, kRetries{0, 1000};
inline constexpr OptionRange<double> kPatienceSeconds{0.01, 3600};

using Environment = std::function<std::string(const char* name)>;  // "" when unset

// HubConfig from environment variables, defaults where unset. kUsage names the variable that cannot be read.
//   MHUB_HOME, else XDG_DATA_HOME/mhub, else HOME/.local/share/mhub
//   MHUB_SOURCE; MODELSCOPE_ENDPOINT (or the older MODELSCOPE_DOMAIN), HF_ENDPOINT, each one or several with commas
//   between, MODELSCOPE_PREFER_AI_SITE; MODELSCOPE_API_TOKEN, HF_TOKEN
//   MHUB_MAX_WORKERS, MHUB_TIMEOUT, MHUB_STALL_TIMEOUT, MHUB_RETRIES, MHUB_RETRY_DELAY (s, first back-off),
//   MHUB_REGISTRY_TIMEOUT; SSL_CERT_FILE, else CURL_CA_BUNDLE, else REQUESTS_CA_BUNDLE; SSL_CERT_DIR;
//   http_proxy, https_proxy, all_proxy, no_proxy in lower or upper case
// Flags are bound over the result by the command that has them.
Result<hub::HubConfig> hub_config_from(const Environment& environment);
Result<hub::HubConfig> hub_config_from_environment();

// The library of hub_config_from_environment().
Result<std::unique_ptr<hub::ModelLibrary>> open_library();

}  // namespace mhub::apps
