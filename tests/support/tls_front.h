// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "support/loopback_server.h"

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
  // `protocol`: what the handshake agrees to where the client offers it (ALPN); "" = none.
  TlsFront(const Certificate& certificate, int target_port, const std::string& protocol = "");
  ~TlsFront();
  int port() const { return server_.port(); }
  std::string url(const std::string& host = "127.0.0.1") const;

 private:
  void serve(int fd);

  struct Context;
  static std::unique_ptr<Context> make_context(const Certificate& certificate, const std::string& protocol);

  const std::unique_ptr<Context> context_;
  const int target_port_;
  LoopbackServer server_{[this](int client) { serve(client); }};  // last: its threads use the members above
};

}  // namespace mhub::test
