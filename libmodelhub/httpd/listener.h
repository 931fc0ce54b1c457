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
// A non-blocking listening TCP socket. Errors: kUsage (unknown host) and those of listen_error().
Result<Listener> listen_on(const std::string& host, int port);
// Why a socket could not be bound, with what to do about it: kAddressInUse, kUsage (not this machine's address, no
// right to this port), else kNetwork.
Error listen_error(const std::string& host, int port, int error_number);

}  // namespace mhub::httpd
