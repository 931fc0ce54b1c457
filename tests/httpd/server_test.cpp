// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <vector>

#include "libmodelhub/httpd/listener.h"
#include "test_server.h"

namespace mhub::test {
namespace {

std::string get(const std::string& path, const std::string& fields = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
}

template <typename Condition>
bool eventually(Condition condition, double seconds = 5) {
  const double end = TestServer::now() + seconds;
  while (!condition()) {
    if (TestServer::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

TEST(Server, ParametersAreDecodedOnce) {
  TestServer server;
  RawClient client = server.client();
  client.send(get("/items/org/name") + get("/items/org%2Fname") + get("/items/%2541") + get("/one/x/end/") +
              get("/one/x/y/end") + get("/query?b=1&a=x%20y+z"));
  EXPECT_EQ(client.response()->body, "org/name");
  EXPECT_EQ(client.response()->body, "org/name");
  EXPECT_EQ(client.response()->body, "%41");
  EXPECT_EQ(client.response()->body, "x");
  EXPECT_EQ(client.response()->status, 404);
  EXPECT_EQ(client.response()->body, "x y z");
}

TEST(Server, HeadHasTheLengthAndNoBody) {
  TestServer server;
  RawClient client = server.client();
  for (const auto& [path, length] :
       {std::pair{"/health", "2"}, std::pair{"/file", "5"}, std::pair{"/items/abc", "3"}}) {
    client.send("HEAD " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n\r\n");
    const auto head = client.response(5, true);
    ASSERT_TRUE(head) << path;
    EXPECT_EQ(head->status, 200);
    EXPECT_EQ(head->headers.at("content-length"), length);
  }
  client.send(get("/health"));
  EXPECT_EQ(client.response()->body, "ok");
}

TEST(Server, PartOfAFileIsSent) {
  TestServer server;
  RawClient client = server.client();
  client.send(get("/file") + get("/file"));
  EXPECT_EQ(client.response()->body, "23456");
  EXPECT_EQ(client.response()->body, "23456");
}

TEST(Server, StreamIsChunkedAndHeaderTravelsWithTheFirstChunk) {
  TestServer server;
  RawClient client = server.client();
  client.send(get("/stream"));
  const std::string first = client.receive_once();
  EXPECT_NE(first.find("Transfer-Encoding: chunked\r\n"), std::string::npos);
  EXPECT_EQ(first.find("Content-Length"), std::string::npos);
  EXPECT_TRUE(first.ends_with("\r\n\r\n4\r\none \r\n")) << first;
  server.release = true;
  std::string rest = client.receive_once();
  if (!rest.ends_with("0\r\n\r\n")) rest += client.receive_once();
  EXPECT_EQ(rest, "3\r\ntwo\r\n0\r\n\r\n");
}

TEST(Server, StreamToHttp10EndsWithTheConnection) {
  TestServer server;
  server.release = true;
  RawClient client = server.client();
  client.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const auto response = client.response();
  EXPECT_EQ(response->body, "one two");
  EXPECT_EQ(response->headers.count("transfer-encoding"), 0u);
  EXPECT_TRUE(client.closed());
}

TEST(Server, ExpectContinue) {
  TestServer server;
  RawClient client = server.client();
  client.send("POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(client.response()->status, 100);
  client.send("abc");
  EXPECT_EQ(client.response()->body, "abc");

  RawClient refused = server.client();
  refused.send("POST /nothing HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(refused.response()->status, 404);
  EXPECT_TRUE(refused.closed());
}

TEST(Server, RefusalIsReadableThoughTheBodyIsNot) {
  TestServer server;
  RawClient client = server.client();
  client.send("POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000\r\n\r\n" + std::string(1'000'000, 'x'));
  EXPECT_EQ(client.response()->status, 404);
}

TEST(Server, AnExceptionIsAnErrorWithoutItsText) {
  TestServer server;
  RawClient client = server.client();
  client.send(get("/throw") + get("/health"));
  const auto response = client.response();
  EXPECT_EQ(response->status, 500);
  EXPECT_EQ(response->body.find("secret"), std::string::npos);
  EXPECT_EQ(client.response()->status, 200);
}

TEST(Server, AuthorizeKnowsTheClientsAddress) {
  auto config = TestServer::config();
  config.authorize = [](const httpd::Request& r) -> Result<void> {
    if (r.remote_address == "127.0.0.1") return {};
    return Error{ErrorCode::kPolicy, "from '" + r.remote_address + "'", "", ""};
  };
  TestServer server(config);
  RawClient client = server.client();
  client.send(get("/items/x"));
  const auto response = client.response();
  EXPECT_EQ(response->status, 200) << response->body;
}

TEST(Server, WhatIsRefusedIsLoggedToo) {
  std::mutex mutex;
  std::vector<std::string> log;
  auto config = TestServer::config();
  config.authorize = [](const httpd::Request& r) -> Result<void> {
    if (r.header("authorization") != nullptr) return {};
    return Error{ErrorCode::kUnauthorized, "no", "", ""};
  };
  config.access_log = [&](const httpd::Request& request, const httpd::Response& response, double) {
    const std::lock_guard lock(mutex);
    log.push_back(request.method + " " + request.path + " " + std::to_string(response.status) + " " +
                  request.remote_address);
  };
  TestServer server(config);
  RawClient client = server.client();
  client.send(get("/health") + get("/items/x") + get("/nothing", "Authorization: a\r\n") +
              get("/echo", "Authorization: a\r\n") + "GET  /health\r\n\r\n");
  for (const int status : {200, 401, 404, 405, 400}) EXPECT_EQ(client.response()->status, status);
  ASSERT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return log.size() == 5;
  }));
  EXPECT_EQ(log[1], "GET /items/x 401 127.0.0.1");
  EXPECT_EQ(log[2], "GET /nothing 404 127.0.0.1");
  EXPECT_EQ(log[3], "GET /echo 405 127.0.0.1");
  EXPECT_TRUE(log[4].ends_with(" 400 127.0.0.1")) << log[4];
}

TEST(Server, EverythingIsDeniedUnlessPublic) {
  auto config = TestServer::config();
  config.authorize = [](const httpd::Request& r) -> Result<void> {
    if (r.header("authorization") != nullptr) return {};
    return Error{ErrorCode::kUnauthorized, "no", "", ""};
  };
  config.error_response = [](const Error& e) {
    httpd::Response response;
    response.body = "custom " + e.message;
    return response;
  };
  config.decorate = [](const httpd::Request&, httpd::Response& r) { r.headers.emplace_back("X-All", "a\r\nX-B: b"); };
  TestServer server(config);
  for (const char* path : {"/items/x", "/nothing", "/echo", "/items/%2Fhealth"}) {
    RawClient client = server.client();
    client.send(get(path));
    const auto response = client.response();
    EXPECT_TRUE(response->status == 401 || response->status == 400) << path;
    EXPECT_EQ(response->headers.at("x-all"), "a  X-B: b");
  }
  RawClient client = server.client();
  client.send(get("/health") + get("/items/x", "Authorization: a\r\n") + get("/nothing", "Authorization: a\r\n") +
              get("/echo", "Authorization: a\r\n"));
  EXPECT_EQ(client.response()->status, 200);
  EXPECT_EQ(client.response()->status, 200);
  const auto unknown = client.response();
  EXPECT_EQ(unknown->status, 404);
  EXPECT_EQ(unknown->body, "custom Not Found");
  const auto method = client.response();
  EXPECT_EQ(method->status, 405);
  EXPECT_EQ(method->headers.at("allow"), "POST");
}

TEST(Server, HealthAnswersWhileEveryWorkerStreamsAndTheRestIsShed) {
  TestServer server;
  std::vector<RawClient> streams;
  for (int i = 0; i < 8; ++i) {
    streams.push_back(server.client());
    streams.back().send(get("/stream"));
  }
  ASSERT_TRUE(eventually([&] { return server.blocked == 8; }));
  std::vector<RawClient> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.push_back(server.client());
    waiting.back().send(get("/items/x"));
  }
  RawClient health = server.client();
  for (int i = 0; i < 20; ++i) {
    const double begin = TestServer::now();
    health.send(get("/health"));
    ASSERT_EQ(health.response()->status, 200);
    EXPECT_LT(TestServer::now() - begin, 0.25);
  }
  RawClient shed = server.client();
  shed.send(get("/items/x"));
  const auto refused = shed.response();
  EXPECT_EQ(refused->status, 503);
  EXPECT_EQ(refused->headers.at("retry-after"), "1");
  server.release = true;
  for (auto& client : streams) EXPECT_EQ(client.response()->body, "one two");
  for (auto& client : waiting) EXPECT_EQ(client.response()->body, "x");
}

// Whoever makes the refusal, it carries the header once.
TEST(Server, ARefusalSaysOnceWhenToTryAgain) {
  for (const bool own : {false, true}) {
    auto config = TestServer::config();
    config.authorize = [](const httpd::Request&) -> Result<void> {
      return Error{ErrorCode::kUnavailable, "not now", "", ""};
    };
    if (own) {
      config.error_response = [](const Error&) {
        httpd::Response response;
        response.headers = {{"Retry-After", "7"}};
        return response;
      };
    }
    TestServer server(config);
    RawClient client = server.client();
    client.send(get("/items/x"));
    const auto refused = client.response();
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->status, 503);
    EXPECT_EQ(refused->headers.at("retry-after"), own ? "7" : "1");
    EXPECT_EQ(refused->head.find("Retry-After:"), refused->head.rfind("Retry-After:")) << refused->head;
  }
}

TEST(Server, AHangUpIsSeenSoon) {
  TestServer server;
  for (const char* path : {"/block", "/stream"}) {
    RawClient client = server.client();
    client.send(get(path));
    ASSERT_TRUE(eventually([&] { return server.blocked == 1; }));
    const int before = server.hang_ups;
    const double begin = TestServer::now();
    client.close_now();
    ASSERT_TRUE(eventually([&] { return server.hang_ups == before + 1; }));
    EXPECT_LT(server.hang_up_seconds - begin, 1.0) << "at once on an idle machine";
  }
}

TEST(Server, AReaderThatStopsIsDropped) {
  auto config = TestServer::config();
  config.write_stall_seconds = 1;
  TestServer server(config);
  RawClient client(server.port(), 4096);
  client.send(get("/flood"));
  EXPECT_TRUE(eventually([&] { return server.failed_writes == 1; }, 10));
}

TEST(Server, SlowHeadersEndAndDoNotDelayHealth) {
  auto config = TestServer::config();
  config.header_timeout_seconds = 1;
  TestServer server(config);
  std::vector<RawClient> drippers;
  for (int i = 0; i < 500; ++i) {
    drippers.push_back(server.client());
    drippers.back().send("GET /he");
  }
  std::vector<double> seconds;
  const double begin = TestServer::now();
  while (TestServer::now() - begin < 1.5) {
    for (auto& client : drippers) client.send("a");
    RawClient health = server.client();
    const double asked = TestServer::now();
    health.send(get("/health"));
    ASSERT_EQ(health.response()->status, 200);
    seconds.push_back(TestServer::now() - asked);
  }
  std::sort(seconds.begin(), seconds.end());
  EXPECT_LT(seconds[seconds.size() * 99 / 100], 0.25);
  for (auto& client : drippers) {
    const auto response = client.response(3);
    if (response) {  // a byte that arrives after the close resets the connection and may take the 408 with it
      EXPECT_EQ(response->status, 408);
    }
    EXPECT_TRUE(client.closed(3));
  }
}

TEST(Server, SlowBodiesEnd) {
  auto config = TestServer::config();
  config.header_timeout_seconds = 1;
  TestServer server(config);
  RawClient client = server.client();
  client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nabc");
  const double begin = TestServer::now();
  EXPECT_EQ(client.response()->status, 408);
  EXPECT_LT(TestServer::now() - begin, 2.5);
  EXPECT_TRUE(client.closed());
}

TEST(Server, IdleConnectionsAreClosedAndEvictedForNewOnes) {
  auto config = TestServer::config();
  config.idle_timeout_seconds = 1;
  config.max_connections = 10;
  TestServer server(config);
  std::vector<RawClient> idle;
  for (int i = 0; i < 30; ++i) {  // the oldest idle one makes room
    idle.push_back(server.client());
    idle.back().send(get("/health"));
    ASSERT_EQ(idle.back().response()->status, 200) << i;
  }
  const double begin = TestServer::now();
  for (auto& client : idle) EXPECT_TRUE(client.closed(3));
  EXPECT_LT(TestServer::now() - begin, 2.5);
}

TEST(Server, ConnectionsOverTheCapAreShed) {
  auto config = TestServer::config();
  config.max_connections = 4;
  TestServer server(config);
  std::vector<RawClient> streams;
  for (int i = 0; i < 4; ++i) {
    streams.push_back(server.client());
    streams.back().send(get("/stream"));
  }
  ASSERT_TRUE(eventually([&] { return server.blocked == 4; }));
  RawClient shed = server.client();
  EXPECT_EQ(shed.response()->status, 503);
  server.release = true;
  for (auto& client : streams) EXPECT_EQ(client.response()->body, "one two");
}

TEST(Server, RecoversFromDescriptorExhaustion) {
  TestServer server;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  std::vector<RawClient> clients;
  clients.push_back(server.client());
  clients.back().send(get("/stream"));
  ASSERT_TRUE(eventually([&] { return server.blocked == 1; }));
  // Both ends of every connection are in this process: allow a few more descriptors only.
  const int next = dup(0);
  close(next);
  rlimit low = limit;
  low.rlim_cur = static_cast<rlim_t>(next) + 24;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  std::vector<RawClient> flood;
  try {
    for (int i = 0; i < 64; ++i) flood.push_back(server.client());
  } catch (const std::runtime_error&) {
    // our own end is out of descriptors too: what was meant
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  flood.clear();
  setrlimit(RLIMIT_NOFILE, &limit);
  const double begin = TestServer::now();
  RawClient health = server.client();
  health.send(get("/health"));
  const auto response = health.response(3);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  EXPECT_LT(TestServer::now() - begin, 2);
}

TEST(Server, PortInUseIsNamed) {
  TestServer server;
  auto config = TestServer::config();
  config.port = server.port();
  const auto second = httpd::Server::start(config, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kAddressInUse);
  EXPECT_NE(second.error().message.find(std::to_string(server.port())), std::string::npos);
}

TEST(Server, WhatPreventsListeningHasItsOwnAdvice) {
  auto config = TestServer::config();
  config.host = "192.0.2.1";  // reserved for documentation: no machine has it
  const auto foreign = httpd::Server::start(config, {});
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, ErrorCode::kUsage);
  EXPECT_NE(foreign.error().hint.find("--host"), std::string::npos) << foreign.error().hint;
  const Error privileged = httpd::listen_error("0.0.0.0", 80, EACCES);
  EXPECT_EQ(privileged.code, ErrorCode::kUsage);
  EXPECT_NE(privileged.hint.find("1024"), std::string::npos) << privileged.hint;
  EXPECT_EQ(httpd::listen_error("::1", 8000, EAFNOSUPPORT).code, ErrorCode::kNetwork);
}

TEST(Server, StopWaitsForRunningAnswers) {
  TestServer server;
  RawClient client = server.client();
  client.send(get("/stream"));
  ASSERT_TRUE(eventually([&] { return server.blocked == 1; }));
  std::thread stopper([&] { server.server->stop(5); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_THROW(server.client(), std::runtime_error);
  server.release = true;
  EXPECT_EQ(client.response()->body, "one two");
  stopper.join();
}

TEST(Server, StopCutsWhatDoesNotEnd) {
  TestServer server;
  RawClient client = server.client();
  client.send(get("/stream"));
  ASSERT_TRUE(eventually([&] { return server.blocked == 1; }));
  const double begin = TestServer::now();
  server.server->stop(0.2);
  EXPECT_LT(TestServer::now() - begin, 2);
  EXPECT_EQ(server.hang_ups, 1);
}

}  // namespace
}  // namespace mhub::test
