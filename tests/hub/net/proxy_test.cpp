// SPDX-License-Identifier: Apache-2.0
#include "net/proxy.h"

#include <chrono>

#include "hub/transfer/download_fixture.h"
#include "support/fake_proxy.h"
#include "support/tls_front.h"

namespace mhub::hub::test {
namespace {

using mhub::test::FakeProxy;
using mhub::test::TestCa;
using mhub::test::TlsFront;

TEST(Proxy, ChosenBySchemeUnlessExempt) {
  const auto direct = [](const std::string& url, const std::string& none) {
    return proxy_for(*parse_url(url), {"http://plain:1", "http://secure:2", none}).empty();
  };
  EXPECT_EQ(proxy_for(*parse_url("http://a.example/x"), {"http://plain:1", "http://secure:2", ""}), "http://plain:1");
  EXPECT_EQ(proxy_for(*parse_url("https://a.example/x"), {"http://plain:1", "http://secure:2", ""}), "http://secure:2");
  EXPECT_EQ(proxy_for(*parse_url("https://a.example/x"), {"http://plain:1", "", ""}), "");
  EXPECT_TRUE(direct("http://a.example", "*"));
  EXPECT_TRUE(direct("http://a.example", "b.example, A.Example"));
  EXPECT_TRUE(direct("http://x.a.example", "a.example"));
  EXPECT_TRUE(direct("http://x.a.example", ".a.example"));
  EXPECT_TRUE(direct("http://x.a.example", "*.a.example"));
  EXPECT_FALSE(direct("http://xa.example", "a.example"));
  EXPECT_FALSE(direct("http://a.example", "x.a.example"));
  EXPECT_TRUE(direct("http://a.example:8080", "a.example:8080"));
  EXPECT_FALSE(direct("http://a.example:8081", "a.example:8080"));
  EXPECT_TRUE(direct("http://10.1.2.3", "10.0.0.0/8"));
  EXPECT_FALSE(direct("http://11.1.2.3", "10.0.0.0/8"));
  EXPECT_TRUE(direct("http://192.168.4.130", "192.168.4.128/25"));
  EXPECT_FALSE(direct("http://192.168.4.127", "192.168.4.128/25"));
  EXPECT_TRUE(direct("http://127.0.0.1:80", "localhost,127.0.0.1"));
  EXPECT_TRUE(direct("http://[fd00::7]", "fd00::/8"));
  EXPECT_FALSE(direct("http://[fe00::7]", "fd00::/8"));
  for (const char* odd : {"10.0.0.0/33", "10.0.0.0/x", "/", ":", ",,", "."})
    EXPECT_FALSE(direct("http://10.1.2.3", odd));
}

class ProxyTest : public DownloadTest {
 protected:
  ProxyTest() { hub_.set_file("model.bin", random_bytes(3'000'000, 1)); }
  // The endpoint has a name that only the proxy can resolve.
  void use(const std::string& endpoint, const std::string& proxy) {
    config_.modelscope_endpoint = config_.huggingface_endpoint = endpoint;
    config_.http_proxy = config_.https_proxy = proxy;
    reopen();
  }
  static std::string at(const FakeProxy& proxy, const std::string& login = "") {
    return "http://" + login + "127.0.0.1:" + std::to_string(proxy.port());
  }
};

TEST_F(ProxyTest, F29PlainHttpGoesThroughIt) {
  const FakeProxy proxy(hub_.port());
  use("http://hub.invalid", at(proxy));
  succeeds();
  EXPECT_TRUE(proxy.request_lines().front().starts_with("GET http://hub.invalid/"));
}

TEST_F(ProxyTest, F29TunnelForHttps) {
  const TestCa ca;
  write_file(dir_ / "ca.pem", ca.pem());
  config_.ca_file = dir_ / "ca.pem";
  const TlsFront front(ca.issue("hub.invalid"), hub_.port());
  const FakeProxy proxy(front.port());
  use("https://hub.invalid", at(proxy));
  succeeds();
  EXPECT_EQ(proxy.request_lines().front(), "CONNECT hub.invalid:443 HTTP/1.1");
}

TEST_F(ProxyTest, F29WhoAreYouIsAClearError) {
  FakeProxy proxy(hub_.port());
  proxy.require_authorization("dXNlcjpzZWNyZXQ=");
  for (const char* endpoint : {"http://hub.invalid", "https://hub.invalid"}) {
    use(endpoint, at(proxy));
    const Error error = fails(ErrorCode::kNetwork);
    EXPECT_NE(error.message.find("407"), std::string::npos) << error.one_line();
    EXPECT_NE(error.hint.find("HTTPS_PROXY"), std::string::npos) << error.one_line();
  }
  use("http://hub.invalid", at(proxy, "user:wrong@"));
  const Error error = fails(ErrorCode::kNetwork);
  EXPECT_EQ(error.one_line().find("wrong"), std::string::npos) << error.one_line();
  use("http://hub.invalid", at(proxy, "user:secret@"));
  succeeds();
}

TEST_F(ProxyTest, F29RefusedTunnelNamesTheProxy) {
  FakeProxy proxy(hub_.port());
  proxy.answer_connect_with(502);
  use("https://hub.invalid", at(proxy));
  const Error error = fails(ErrorCode::kNetwork);
  EXPECT_NE(error.one_line().find(at(proxy)), std::string::npos) << error.one_line();
}

TEST_F(ProxyTest, F29ConnectionsDroppedMidBodyGoOn) {
  FakeProxy proxy(hub_.port());
  proxy.drop_after(700'000, 6);
  use("http://hub.invalid", at(proxy));
  EXPECT_LT(succeeds().bytes_network, hub_.content("model.bin").size() + 100'000) << "what came was kept";
}

TEST_F(ProxyTest, F29NoProxyIsReachedDirectly) {
  const FakeProxy proxy(hub_.port());
  config_.no_proxy = "127.0.0.0/8";
  use(hub_.url(), at(proxy));
  succeeds();
  EXPECT_TRUE(proxy.request_lines().empty());
}

// A proxy must not become the way around the rule on private addresses.
TEST_F(ProxyTest, H08PrivateTargetBehindAProxyIsRefused) {
  const FakeProxy proxy(hub_.port());
  use("http://hub.invalid", at(proxy));
  for (const char* target : {"http://169.254.169.254/x", "http://10.0.0.1/x", "http://[::1]/x"}) {
    hub_.set_hook([target](const HubRequest& request, HubReply& reply) {
      if (request.file.empty()) return;
      reply = HubReply();
      reply.status = 302;
      reply.set("Location", target);
    });
    fails(ErrorCode::kPolicy);
  }
}

TEST_F(ProxyTest, LimitedRateIsKeptOverAllConnections) {
  DownloadOptions options;
  options.bytes_per_second = 2'000'000;
  const auto start = std::chrono::steady_clock::now();
  succeeds(options);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_GT(seconds, 1.2);
  EXPECT_LT(seconds, 4.0);
}

}  // namespace
}  // namespace mhub::hub::test
