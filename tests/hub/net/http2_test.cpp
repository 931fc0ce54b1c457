// SPDX-License-Identifier: Apache-2.0
// HTTP/2 where a server offers it: what is no part of a large file shares one connection.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "net/curl_transport.h"
#include "net/url.h"
#include "support/fake_hub.h"
#include "support/loopback.h"
#include "support/loopback_server.h"
#include "support/temp_dir.h"
#include "support/tls_front.h"

namespace mhub::hub {
namespace {

using mhub::test::TestCa;
using mhub::test::TlsFront;

// Speaks HTTP/2 in plain (the TLS front before it has agreed to "h2") and answers every stream with the same body.
class Http2Server {
 public:
  int port() const { return server_.port(); }
  int connections() const { return connections_; }
  int streams() const { return streams_; }
  static constexpr const char* kBody = "the same for all";

 private:
  enum FrameType : uint8_t { kData = 0, kHeaders = 1, kSettings = 4, kPing = 6 };
  enum Flag : uint8_t { kAck = 1, kEndStream = 1, kEndHeaders = 4 };

  static bool receive(int fd, std::string& into, size_t bytes) {
    into.resize(bytes);
    return bytes == 0 || recv(fd, into.data(), bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes);
  }
  static std::string frame(FrameType type, uint8_t flags, uint32_t stream, const std::string& payload) {
    std::string bytes;
    for (const int shift : {16, 8, 0}) bytes += static_cast<char>(payload.size() >> shift & 0xff);
    bytes += static_cast<char>(type);
    bytes += static_cast<char>(flags);
    for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(stream >> shift & 0xff);
    return bytes + payload;
  }
  void serve(int fd) {
    std::string preface, head, payload;
    if (!receive(fd, preface, 24) || !preface.starts_with("PRI * HTTP/2.0")) return;
    ++connections_;
    mhub::test::send_whole(fd, frame(kSettings, 0, 0, ""));
    while (receive(fd, head, 9)) {
      const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(head[i])); };
      if (!receive(fd, payload, byte(0) << 16 | byte(1) << 8 | byte(2))) return;
      const uint32_t type = byte(3), flags = byte(4);
      const uint32_t stream = (byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8)) & 0x7fffffff;
      if (type == kSettings && !(flags & kAck)) mhub::test::send_whole(fd, frame(kSettings, kAck, 0, ""));
      if (type == kPing && !(flags & kAck)) mhub::test::send_whole(fd, frame(kPing, kAck, 0, payload));
      if (type != kHeaders) continue;
      ++streams_;
      const std::string length = std::to_string(std::string(kBody).size());
      // ":status: 200" of the static table, "content-length" as a literal with a name of that table.
      std::string block = "\x88\x0f\x0d";
      block += static_cast<char>(length.size());
      block += length;
      mhub::test::send_whole(fd, frame(kHeaders, kEndHeaders, stream, block));
      mhub::test::send_whole(fd, frame(kData, kEndStream, stream, kBody));
    }
  }

  std::atomic<int> connections_{0}, streams_{0};
  mhub::test::LoopbackServer server_{[this](int client) { serve(client); }};  // last: its threads use the members above
};

class Keep final : public HttpSink {
 public:
  bool on_head(const HttpHead& head) override { return status = head.status, true; }
  bool on_body(std::span<const std::byte> bytes) override {
    body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
  }
  void on_done(const HttpFailure* failure) override {
    done = true;
    if (failure) error = failure->error.one_line();
  }
  int status = 0;
  bool done = false;
  std::string body, error;
};

class Http2 : public ::testing::Test {
 protected:
  Http2() { mhub::test::write_file(dir_ / "ca.pem", ca_.pem()); }
  // `requests` at once, all of them for parts if `ranged`.
  std::vector<Keep> get(const std::string& origin, size_t requests, bool ranged) {
    CurlTransport transport({2, 5, (dir_ / "ca.pem").string(), ""});
    std::vector<Keep> sinks(requests);
    for (Keep& sink : sinks) {
      HttpRequest request;
      request.url = origin + "/x";
      request.endpoint = *origin_of(request.url);
      if (ranged) request.range = HttpRange{0, 3};
      transport.start(std::move(request), sink);
    }
    for (int i = 0; i < 500 && std::any_of(sinks.begin(), sinks.end(), [](const Keep& s) { return !s.done; }); ++i) {
      transport.poll(std::chrono::milliseconds(20));
    }
    return sinks;
  }
  mhub::test::TempDir dir_;
  TestCa ca_;
};

TEST_F(Http2, RequestsShareOneConnection) {
  Http2Server server;
  const TlsFront front(ca_.issue("127.0.0.1"), server.port(), "h2");
  for (const Keep& got : get(front.url(), 6, false)) {
    EXPECT_EQ(got.status, 200) << got.error;
    EXPECT_EQ(got.body, Http2Server::kBody);
  }
  EXPECT_EQ(server.streams(), 6);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(Http2, AServerWithoutItAndPartsOfFilesUseTheOldOne) {
  mhub::test::FakeHub hub;  // HTTP/1.1 only
  hub.set_hook([](const auto&, auto& reply) {
    reply = {};
    reply.body = "plain";
  });
  const TlsFront without(ca_.issue("127.0.0.1"), hub.port()), offers_it(ca_.issue("127.0.0.1"), hub.port(), "h2");
  for (const Keep& got : get(without.url(), 3, false)) EXPECT_EQ(got.body, "plain") << got.error;
  for (const Keep& got : get(offers_it.url(), 3, true)) EXPECT_EQ(got.body, "plain") << got.error;
}

}  // namespace
}  // namespace mhub::hub
