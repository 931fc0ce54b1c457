// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "support/loopback_server.h"

namespace mhub::test {

// An HTTP proxy on loopback: CONNECT tunnels and whole-URL requests. Every name leads to one port of 127.0.0.1.
class FakeProxy {
 public:
  explicit FakeProxy(int target_port);
  int port() const { return server_.port(); }
  void require_authorization(const std::string& basic) { basic_ = basic; }  // before the first connection
  void answer_connect_with(int status) { connect_status_ = status; }
  // The first `connections` tunnels end after so many bytes to the client.
  void drop_after(size_t bytes, int connections) { drop_bytes_ = bytes, drops_left_ = connections; }
  std::vector<std::string> request_lines() const;

 private:
  void serve(int fd);
  void relay(int client, int target, bool tunnel);

  const int target_port_;
  std::string basic_;
  int connect_status_ = 200;
  size_t drop_bytes_ = 0;
  std::atomic<int> drops_left_{0};
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;                                // guarded by mutex_
  LoopbackServer server_{[this](int client) { serve(client); }};  // last: its threads use the members above
};

}  // namespace mhub::test
