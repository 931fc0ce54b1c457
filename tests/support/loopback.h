// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace mhub::test {

// A listening socket on a free port of 127.0.0.1. Throws std::runtime_error.
struct Listener {
  int fd = -1, port = 0;
};
Listener listen_on_loopback();
int connect_to_loopback(int port);  // -1 when nobody listens
bool send_whole(int fd, std::string_view bytes);

}  // namespace mhub::test
