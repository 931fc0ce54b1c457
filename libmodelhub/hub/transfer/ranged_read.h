// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "net/http_transport.h"
#include "net/retry.h"
#include "remote/hub_api.h"

namespace mhub::hub {

struct RangedRead {
  const RemoteFile* file = nullptr;
  uint64_t offset = 0, bytes = 0;  // cut at the end of the file
};

// Parts of remote files in memory, several at once; nothing else of them is transferred. A server without ranges is
// read only where the part begins at 0, and left as soon as that is here. In the order of `reads`.
Result<std::vector<std::string>> read_ranges(HttpTransport& transport, const HubApi& api,
                                             const std::vector<RangedRead>& reads, RetryPolicy policy,
                                             std::stop_token stop);

}  // namespace mhub::hub
