// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace mhub::test {

// An HTTP proxy on loopback: CONNECT tunnels and whole-URL requests. Every name leads to one port of 127.0.0.1.
class FakeProxy {
 public:
  explicit FakeProxy(int target_port);
  ~FakeProxy();
  int port() const { return port_; }
  void require_authorization(const std::string& basic) { basic_ = basic; }  // before the first connection
  void answer_connect_with(int status) { connect_status_ = status; }
  // The first `connections` tunnels end after so many bytes to the client.
  void drop_after(size_t bytes, int connections) { drop_bytes_ = bytes, drops_left_ = connections; }
  std::vector<std::string> request_lines() const;

 private:
  void accept_connections();
  void serve(int fd);
  void relay(int client, int target, bool tunnel);

  int target_port_, listener_ = -1, port_ = 0;
  std::string basic_;
  int connect_status_ = 200;
  size_t drop_bytes_ = 0;
  std::atomic<int> drops_left_{0};
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;    // guarded by mutex_
  std::vector<int> sockets_;          // guarded by mutex_
  std::vector<std::thread> threads_;  // guarded by mutex_
  std::thread accepter_;
};

}  // namespace mhub::test
