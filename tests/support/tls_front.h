// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace mhub::test {

struct Certificate {
  std::string certificate_pem, key_pem;
};

// A certificate authority of the test's own.
class TestCa {
 public:
  TestCa();
  ~TestCa();
  std::string pem() const;
  // For one DNS name or IP address; days count from now.
  Certificate issue(const std::string& host, int first_day = -1, int last_day = 30) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Accepts TLS on a loopback port and passes the plain bytes on to another one, both ways.
class TlsFront {
 public:
  TlsFront(const Certificate& certificate, int target_port);
  ~TlsFront();
  int port() const { return port_; }
  std::string url(const std::string& host = "127.0.0.1") const;

 private:
  void accept_connections();
  void serve(int fd);

  struct Context;
  std::unique_ptr<Context> context_;
  int target_port_, listener_ = -1, port_ = 0;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::vector<int> sockets_;          // guarded by mutex_
  std::vector<std::thread> threads_;  // guarded by mutex_
  std::thread accepter_;
};

}  // namespace mhub::test
