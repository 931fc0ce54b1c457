// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mhub/base/result.h"

namespace mhub::hub {

// What proves who we are to one origin. Goes to that origin only, also over redirects.
struct Credentials {
  std::string origin;  // "https://host:port", as origin_of() writes it
  std::vector<std::pair<std::string, std::string>> headers;
};

struct HttpRange {
  uint64_t first = 0, last = 0;  // inclusive
};

struct HttpRequest {
  std::string url;
  std::string endpoint;  // origin that the user configured: decides whether private addresses may be connected to
  Credentials credentials;
  std::vector<std::pair<std::string, std::string>> headers;
  std::optional<HttpRange> range;
};

// Of the last response of the redirect chain.
struct HttpHead {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string url;                                           // where it came from in the end; may hold a signature
  const std::string* header(std::string_view lower_case_name) const;
  std::optional<uint64_t> content_length() const;
};

struct HttpFailure {
  Error error;             // kNetwork, or kPolicy for a redirect that is refused
  bool retryable = false;  // another try may go better
};

// Receives one response. on_head and on_body return false to end the exchange; on_done always comes, last, unless the
// exchange is cancelled. Called from within HttpTransport::poll.
class HttpSink {
 public:
  virtual ~HttpSink() = default;
  virtual bool on_head(const HttpHead& head) = 0;
  virtual bool on_body(std::span<const std::byte> bytes) = 0;
  // nullptr: the response is complete, or this sink ended it.
  virtual void on_done(const HttpFailure* failure) = 0;
};

// Any number of exchanges driven by one thread: start some, call poll() until they are done.
class HttpTransport {
 public:
  using Id = uint64_t;
  virtual ~HttpTransport() = default;
  virtual Id start(HttpRequest request, HttpSink& sink) = 0;  // the sink outlives the exchange
  virtual void cancel(Id id) = 0;                             // no callback after this
  virtual void poll(std::chrono::milliseconds longest_wait) = 0;
  virtual void wake() = 0;  // from any thread: makes a waiting poll() return
};

struct HttpResponse {
  HttpHead head;
  std::string body;
};
// One exchange with the whole body in memory; over max_bytes is kPolicy. kInterrupted when asked to stop.
struct FetchOutcome {
  Result<HttpResponse> response;
  bool retryable = false;
};
FetchOutcome fetch(HttpTransport& transport, HttpRequest request, size_t max_bytes, std::stop_token stop);

}  // namespace mhub::hub
