// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "net/curl_library.h"
#include "net/curl_transport.h"
#include "net/http_transport.h"
#include "net/rate_limit.h"
#include "net/url.h"

namespace mhub::hub {

// What an endpoint's own connections taught us: whether it lives on a private address.
using EndpointAddresses = std::map<std::string, AddressKind>;

// One request with its redirects: an easy handle per hop.
class CurlExchange {
 public:
  using Clock = std::chrono::steady_clock;

  CurlExchange(HttpRequest request, HttpSink& sink, const CurlConfig& config, EndpointAddresses& addresses,
               RateLimit& rate_limit);

  // A handle ready for the multi handle, or nullptr with failure() set.
  CURL* begin_hop();
  // After libcurl finished the hop. True: another hop is to begin. False: done, the sink has not been told yet.
  bool end_hop(CURLcode code);
  void check_stall(Clock::time_point now);
  void tell_done() { sink_->on_done(failure_ ? &*failure_ : nullptr); }
  void cancel() { cancelled_ = true; }
  // Held back by the rate limit; resume() when there is room again.
  bool paused() const { return paused_; }
  void resume(Clock::time_point now);
  bool cancelled() const { return cancelled_; }
  bool stalled() const { return stalled_; }
  void fail(Error error, bool retryable);
  CURL* easy() const { return easy_.get(); }

 private:
  static size_t on_header(char* data, size_t size, size_t count, void* self);
  static size_t on_body(char* data, size_t size, size_t count, void* self);
  static curl_socket_t open_socket(void* self, curlsocktype purpose, curl_sockaddr* address);
  static int before_request(void* self, char* address, char* local_address, int port, int local_port);

  bool take_header(std::string_view line);
  bool end_of_headers();
  bool address_allowed(const std::string& address);
  bool at_endpoint() const { return origin_ == request_.endpoint; }
  std::optional<HttpFailure> follow_redirect();
  Error proxy_wants_login() const;
  HttpFailure curl_failure(CURLcode code) const;

  HttpRequest request_;
  HttpSink* sink_;
  const CurlConfig& config_;
  EndpointAddresses& addresses_;
  RateLimit& rate_limit_;

  std::unique_ptr<CURL, void (*)(CURL*)> easy_{nullptr, curl_library().easy_cleanup};
  std::unique_ptr<curl_slist, void (*)(curl_slist*)> header_list_{nullptr, curl_library().slist_free_all};
  std::array<char, CURL_ERROR_SIZE> curl_message_{};
  std::string url_, origin_, proxy_;  // of this hop
  std::set<std::string> visited_;
  HttpHead head_;
  size_t header_bytes_ = 0;
  bool head_delivered_ = false, redirecting_ = false, ended_by_sink_ = false, cancelled_ = false, stalled_ = false;
  bool paused_ = false;
  std::optional<HttpFailure> failure_;
  uint64_t received_ = 0, received_at_mark_ = 0;
  Clock::time_point mark_;
};

}  // namespace mhub::hub
