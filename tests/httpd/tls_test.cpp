// SPDX-License-Identifier: Apache-2.0
// The server under TLS: the same answers, and nothing that a client sends instead of a handshake hurts it.
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <csignal>

#include "support/loopback.h"
#include "support/tls_front.h"
#include "tests/httpd/test_server.h"

namespace mhub::httpd {
namespace {

using mhub::test::Certificate;
using mhub::test::RawClient;
using mhub::test::TempDir;
using mhub::test::TestCa;
using mhub::test::TestServer;

// One TLS connection that trusts anything; blocking.
class TlsClient {
 public:
  explicit TlsClient(int port, int newest_version = TLS1_3_VERSION) : fd_(mhub::test::connect_to_loopback(port)) {
    SSL_CTX_set_max_proto_version(context_.get(), newest_version);
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), fd_);
    connected_ = SSL_connect(ssl_.get()) == 1;
  }
  ~TlsClient() {
    ssl_.reset();
    close(fd_);
  }
  bool connected() const { return connected_; }
  bool send(std::string_view bytes) {
    size_t n = 0;
    return SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &n) == 1 && n == bytes.size();
  }
  // All up to the close_notify; nullopt when the connection ends without one.
  std::optional<std::string> rest() {
    std::string all;
    for (;;) {
      char block[16384];
      size_t n = 0;
      const int done = SSL_read_ex(ssl_.get(), block, sizeof block, &n);
      if (done == 1) {
        all.append(block, n);
        continue;
      }
      if (SSL_get_error(ssl_.get(), done) == SSL_ERROR_ZERO_RETURN) return all;
      return std::nullopt;
    }
  }

 private:
  int fd_;
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_{SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_{nullptr, SSL_free};
  bool connected_ = false;
};

class Tls : public ::testing::Test {
 protected:
  Tls() {
    signal(SIGPIPE, SIG_IGN);
    const Certificate issued = TestCa().issue("127.0.0.1");
    mhub::test::write_file(dir_ / "cert.pem", issued.certificate_pem);
    mhub::test::write_file(dir_ / "key.pem", issued.key_pem);
  }
  ServerConfig config() const {
    ServerConfig config = TestServer::config();
    config.tls_certificate_file = (dir_ / "cert.pem").string();
    config.tls_key_file = (dir_ / "key.pem").string();
    return config;
  }
  static std::string get(const std::string& path, bool last = true) {
    return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + (last ? "Connection: close\r\n\r\n" : "\r\n");
  }
  TempDir dir_;
};

TEST_F(Tls, AnswersBodiesFilesAndStreams) {
  TestServer server(config());
  server.release = true;
  const std::pair<const char*, const char*> cases[] = {
      {"/health", "ok"}, {"/items/a/b", "a/b"}, {"/file", "23456"}, {"/stream", "one "}};
  for (const auto& [path, body] : cases) {
    TlsClient client(server.port());
    ASSERT_TRUE(client.connected());
    ASSERT_TRUE(client.send(get(path)));
    const auto answer = client.rest();
    ASSERT_TRUE(answer) << path << ": cut without a close_notify";
    EXPECT_TRUE(answer->starts_with("HTTP/1.1 200 ")) << *answer;
    EXPECT_NE(answer->find(body), std::string::npos) << *answer;
  }
}

TEST_F(Tls, ManyMegabytesAndBigRequests) {
  TestServer server(config());
  TlsClient client(server.port());
  const std::string body(3 << 20, 'b');
  ASSERT_TRUE(client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
                          "\r\n\r\n"));
  for (size_t at = 0; at < body.size(); at += 1 << 16) ASSERT_TRUE(client.send(body.substr(at, 1 << 16)));
  ASSERT_TRUE(client.send(get("/flood")));
  const auto answers = client.rest();
  ASSERT_TRUE(answers);
  EXPECT_GT(answers->size(), body.size() + (64u << 20)) << "both answers, in one connection";
}

TEST_F(Tls, PipelinedRequestsInOneRecord) {
  TestServer server(config());
  TlsClient client(server.port());
  ASSERT_TRUE(client.send(get("/items/first", false) + get("/items/second", false) + get("/items/third")));
  const auto answers = client.rest();
  ASSERT_TRUE(answers);
  EXPECT_LT(answers->find("first"), answers->find("second"));
  EXPECT_LT(answers->find("second"), answers->find("third"));
}

TEST_F(Tls, NoPlainTextNoOldVersionsNoPatience) {
  ServerConfig impatient = config();
  impatient.header_timeout_seconds = 1;
  TestServer server(impatient);
  RawClient plain(server.port());
  plain.send(get("/health"));
  EXPECT_FALSE(plain.response(5)) << "nothing that looks like an answer";
  EXPECT_FALSE(TlsClient(server.port(), TLS1_1_VERSION).connected());
  RawClient silent(server.port());
  silent.send("\x16\x03\x01");
  EXPECT_FALSE(silent.response(5)) << "a handshake that never goes on is ended";
  TlsClient good(server.port());
  ASSERT_TRUE(good.send(get("/health")));
  EXPECT_TRUE(good.rest());
}

TEST_F(Tls, AHangUpIsSeenByTheHandler) {
  TestServer server(config());
  {
    TlsClient client(server.port());
    ASSERT_TRUE(client.send(get("/block")));
    while (server.blocked == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  for (int i = 0; i < 400 && server.hang_ups == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(server.hang_ups, 1);
}

TEST_F(Tls, WhatCannotBeUsedIsNamed) {
  const auto refused = [&](const std::string& certificate, const std::string& key) {
    ServerConfig bad = config();
    bad.tls_certificate_file = certificate;
    bad.tls_key_file = key;
    const auto started = Server::start(bad, {});
    EXPECT_FALSE(started);
    return started ? "" : started.error().one_line();
  };
  const std::string good = config().tls_certificate_file, key = config().tls_key_file;
  EXPECT_NE(refused((dir_ / "absent.pem").string(), key).find("absent.pem: No such file"), std::string::npos);
  EXPECT_NE(refused(key, key).find("certificate"), std::string::npos);
  EXPECT_NE(refused(good, good).find("key"), std::string::npos);
  mhub::test::write_file(dir_ / "other.pem", TestCa().issue("127.0.0.1").key_pem);
  EXPECT_NE(refused(good, (dir_ / "other.pem").string()).find("other.pem"), std::string::npos) << "of another key";
}

}  // namespace
}  // namespace mhub::httpd
