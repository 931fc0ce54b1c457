// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace mhub::test {

// Accepts connections on a free port of 127.0.0.1 and gives each to a thread of its own.
class LoopbackServer {
 public:
  // `serve` returns when the connection ends or, soon after, when stopping() turns true; the socket is closed for it.
  explicit LoopbackServer(std::function<void(int fd)> serve);
  ~LoopbackServer();  // shuts all sockets and joins
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;
  int port() const { return port_; }
  bool stopping() const { return stopping_; }

 private:
  void accept_connections();

  const std::function<void(int)> serve_;
  int listener_ = -1, port_ = 0;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::vector<int> sockets_;          // guarded by mutex_
  std::vector<std::thread> threads_;  // guarded by mutex_
  std::thread accepter_;
};

}  // namespace mhub::test
