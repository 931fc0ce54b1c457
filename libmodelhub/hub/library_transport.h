// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "mhub/hub/model_library.h"
#include "net/curl_transport.h"
#include "net/retry.h"

namespace mhub::hub {

// How this configuration talks to hubs.
inline CurlConfig curl_config(const HubConfig& config, uint64_t bytes_per_second = 0) {
  return {config.connect_timeout_seconds,
          config.stall_timeout_seconds,
          config.ca_file,
          config.ca_directory,
          {config.http_proxy, config.https_proxy, config.no_proxy},
          bytes_per_second};
}

inline RetryPolicy retry_policy(const HubConfig& config) {
  return {config.retries, config.retry_delay_seconds};
}

}  // namespace mhub::hub
