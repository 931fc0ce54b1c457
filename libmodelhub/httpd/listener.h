// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "mhub/base/result.h"
#include "unique_fd.h"

namespace mhub::httpd {

struct Listener {
  UniqueFd fd;
  int port = 0;
};
// A non-blocking listening TCP socket. Errors: kAddressInUse, kUsage (unknown host).
Result<Listener> listen_on(const std::string& host, int port);

}  // namespace mhub::httpd
