// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mhub/base/result.h"

namespace mhub::httpd {

// A request after every transport check (host, lengths, encodings, path canonical and percent-decoded once).
struct Request {
  std::string method;                                        // "GET", "POST", ...
  std::string path;                                          // canonical, decoded, "/v1/models"
  std::string raw_path;                                      // as sent, without the query
  std::vector<std::pair<std::string, std::string>> query;    // decoded, in order
  std::vector<std::pair<std::string, std::string>> headers;  // as sent, in order
  std::string body;
  std::string remote_address;
  std::map<std::string, std::string> params;               // from the route pattern
  const std::string* header(std::string_view name) const;  // case-insensitive, first
  const std::string* query_value(std::string_view name) const;
};

// Given to a streaming body. write() returns false once the peer is gone or too slow.
class BodyWriter {
 public:
  virtual ~BodyWriter() = default;
  virtual bool write(std::string_view bytes) = 0;
  virtual bool peer_gone() const = 0;  // poll of the socket: hang-up is seen also while nothing is written
};

struct FileBody {
  std::string path;
  uint64_t offset = 0, length = 0;  // sent with sendfile
};

struct Response {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::optional<FileBody> file;             // instead of body
  std::function<void(BodyWriter&)> stream;  // instead of body: chunked
};

using Handler = std::function<Response(const Request&, BodyWriter& peer)>;  // peer: only peer_gone() is for handlers

struct Route {
  std::string method;
  std::string pattern;     // "/v1/models/{id...}": {x} one segment, {x...} the rest
  bool is_public = false;  // default-deny: everything else needs ServerConfig::authorize to agree
  Handler handler;
};

struct ServerConfig {
  std::string host = "127.0.0.1";
  int port = 8000;  // 0 = a free one
  std::string tls_certificate_file, tls_key_file;  // PEM; "" = plain HTTP
  int max_connections = 1024;
  int num_workers = 288;  // threads: one per request being answered; more wait, then 503
  size_t max_header_bytes = 16 << 10;
  size_t max_headers = 100;
  size_t max_uri_bytes = 8 << 10;
  size_t max_body_bytes = 8 << 20;
  int header_timeout_seconds = 10;
  int body_min_bytes_per_second = 1024;
  int idle_timeout_seconds = 30;
  int write_stall_seconds = 30;
  // Empty = every request passes. Returns an Error to refuse.
  std::function<Result<void>(const Request&)> authorize;
  // Body of an error response (unknown route, limits, refused auth).
  std::function<Response(const Error&)> error_response;
  // Called for every response before it is written (CORS and other common headers). The request is empty when it
  // could not be read.
  std::function<void(const Request&, Response&)> decorate;
  // Called after every response. What no handler saw (refused, or never read whole) has taken 0 seconds, and its
  // request holds only what was read.
  std::function<void(const Request&, const Response&, double seconds)> access_log;
};

// An epoll thread owns accept, header and body deadlines, strictness and caps; complete requests go to worker threads.
// Public routes are answered by a reserved worker, so /health answers while all others are busy.
class Server {
 public:
  // Binds and starts. kAddressInUse names the address.
  static Result<std::unique_ptr<Server>> start(ServerConfig config, std::vector<Route> routes);
  ~Server();  // stop(0)
  int port() const;
  // Stops accepting at once, waits up to `seconds` for running responses, then closes their sockets. Idempotent.
  void stop(double seconds);

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mhub::httpd
