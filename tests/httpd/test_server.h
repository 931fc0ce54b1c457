// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "mhub/httpd/server.h"
#include "support/raw_http.h"
#include "support/temp_dir.h"

namespace mhub::test {

// A server with one route of each kind.
struct TestServer {
  std::atomic<bool> release{false};        // ends /block and /stream
  std::atomic<int> blocked{0};             // handlers inside /block and /stream
  std::atomic<int> hang_ups{0};            // of /block and /stream
  std::atomic<double> hang_up_seconds{0};  // when the last one was seen, steady clock
  std::atomic<int> failed_writes{0};
  TempDir dir;
  std::unique_ptr<httpd::Server> server;

  static double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  static httpd::ServerConfig config() {
    httpd::ServerConfig config;
    config.port = 0;
    config.num_workers = 8;
    return config;
  }

  explicit TestServer(httpd::ServerConfig config = TestServer::config()) {
    write_file(dir / "file", "0123456789");
    auto started = httpd::Server::start(std::move(config), routes());
    if (!started) throw std::runtime_error(started.error().one_line());
    server = std::move(*started);
  }
  ~TestServer() {
    release = true;
    server->stop(5);
  }
  int port() const { return server->port(); }
  RawClient client() const { return RawClient(port()); }

  static httpd::Response text(std::string body) {
    httpd::Response response;
    response.headers = {{"Content-Type", "text/plain"}};
    response.body = std::move(body);
    return response;
  }
  void wait_released(const httpd::BodyWriter& peer) {
    ++blocked;
    while (!release) {
      if (peer.peer_gone()) {
        hang_up_seconds = now();
        ++hang_ups;
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    --blocked;
  }

  std::vector<httpd::Route> routes() {
    using httpd::BodyWriter;
    using httpd::Request;
    using httpd::Response;
    return {
        {"GET", "/health", true, [](const Request&, BodyWriter&) { return text("ok"); }},
        {"GET", "/items/{id...}", false, [](const Request& r, BodyWriter&) { return text(r.params.at("id")); }},
        {"GET", "/one/{name}/end", false, [](const Request& r, BodyWriter&) { return text(r.params.at("name")); }},
        {"GET", "/query", false,
         [](const Request& r, BodyWriter&) { return text(r.query_value("a") ? *r.query_value("a") : "none"); }},
        {"POST", "/echo", false, [](const Request& r, BodyWriter&) { return text(r.body); }},
        {"GET", "/throw", false, [](const Request&, BodyWriter&) -> Response { throw std::runtime_error("secret"); }},
        {"GET", "/block", false,
         [this](const Request&, BodyWriter& peer) {
           wait_released(peer);
           return text("released");
         }},
        {"GET", "/stream", false,
         [this](const Request&, BodyWriter&) {
           Response response = text("");
           response.stream = [this](BodyWriter& body) {
             body.write("one ");
             wait_released(body);
             body.write("two");
           };
           return response;
         }},
        {"GET", "/flood", false,
         [this](const Request&, BodyWriter&) {
           Response response = text("");
           response.stream = [this](BodyWriter& body) {
             const std::string block(1 << 20, 'x');
             for (int i = 0; i < 64; ++i) {
               if (!body.write(block)) {
                 ++failed_writes;
                 return;
               }
             }
           };
           return response;
         }},
        {"GET", "/file", false,
         [this](const Request&, BodyWriter&) {
           Response response = text("");
           response.file = httpd::FileBody{(dir / "file").string(), 2, 5};
           return response;
         }},
    };
  }
};

}  // namespace mhub::test
