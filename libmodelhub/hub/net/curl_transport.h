// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "net/http_transport.h"
#include "net/proxy.h"

namespace mhub::hub {

struct CurlConfig {
  double connect_timeout_seconds = 15;
  double stall_timeout_seconds = 30;  // below 1 KiB/s for this long ends an exchange
  std::string ca_file, ca_directory;  // "" = the system's
  ProxyConfig proxy = {};
  uint64_t bytes_per_second = 0;  // limit over all exchanges together; 0 = none
};

// HTTP/1.1 and, where offered, HTTP/2 over libcurl's multi interface. Redirects are followed here, not by
// libcurl: at most 10, http(s) only, never https to http, credentials to their own origin only, and private addresses
// only when the endpoint itself is one (checked on the connected address; behind a
// proxy on what the URL says). One thread at a time; wake() from any.
class CurlTransport final : public HttpTransport {
 public:
  explicit CurlTransport(const CurlConfig& config);
  ~CurlTransport() override;
  Id start(HttpRequest request, HttpSink& sink) override;
  void cancel(Id id) override;
  void poll(std::chrono::milliseconds longest_wait) override;
  void wake() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mhub::hub
