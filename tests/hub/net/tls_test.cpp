// SPDX-License-Identifier: Apache-2.0
// F28 and the https half of F18: certificates are always checked, https never becomes http, tokens stay where they
// belong.
#include "support/tls_front.h"

#include "hub/transfer/download_fixture.h"
#include "net/curl_transport.h"
#include "net/url.h"

namespace mhub::hub::test {
namespace {

using mhub::test::Certificate;
using mhub::test::TestCa;
using mhub::test::TlsFront;

class Tls : public DownloadTest {
 protected:
  Tls() {
    hub_.set_file("model.bin", random_bytes(200'000, 1));
    write_file(dir_ / "ca.pem", ca_.pem());
    config_.ca_file = dir_ / "ca.pem";
    config_.retries = 1;
  }
  void use(const std::string& endpoint) {
    config_.modelscope_endpoint = config_.huggingface_endpoint = endpoint;
    reopen();
  }
  // The download through a front with this certificate fails at once and says that it is the certificate.
  void refuses(const Certificate& certificate, const std::string& host = "127.0.0.1") {
    const TlsFront front(certificate, hub_.port());
    use(front.url(host));
    const Error error = fails(ErrorCode::kNetwork);
    EXPECT_NE(error.message.find("SSL"), std::string::npos) << error.one_line();
    EXPECT_NE(error.hint.find("SSL_CERT_FILE"), std::string::npos) << error.one_line();
    EXPECT_TRUE(hub_.requests().empty()) << "nothing is sent to a server that is not who it should be";
  }
  TestCa ca_;
};

TEST_F(Tls, F28OwnAuthorityIsTrustedWhenNamed) {
  const TlsFront front(ca_.issue("127.0.0.1"), hub_.port());
  use(front.url());
  succeeds();
}

TEST_F(Tls, F28ByHostName) {
  const TlsFront front(ca_.issue("localhost"), hub_.port());
  use(front.url("localhost"));
  succeeds();
}

TEST_F(Tls, F28CertificateOfAnotherAuthority) {
  refuses(TestCa().issue("127.0.0.1"));
}
TEST_F(Tls, F28ExpiredCertificate) {
  refuses(ca_.issue("127.0.0.1", -10, -1));
}
TEST_F(Tls, F28CertificateOfTheFuture) {
  refuses(ca_.issue("127.0.0.1", 10, 20));
}
TEST_F(Tls, F28CertificateOfAnotherHost) {
  refuses(ca_.issue("example.org"));
  refuses(ca_.issue("127.0.0.1"), "localhost");
}

TEST_F(Tls, F28PlainServerOnAnHttpsPort) {
  use("https://127.0.0.1:" + std::to_string(hub_.port()));
  fails(ErrorCode::kNetwork);
}

TEST_F(Tls, F28AbsentAuthorityFileIsNamed) {
  config_.ca_file = dir_ / "absent.pem";
  const TlsFront front(ca_.issue("127.0.0.1"), hub_.port());
  use(front.url());
  EXPECT_NE(fails(ErrorCode::kNetwork).one_line().find("absent.pem"), std::string::npos);
}

TEST_F(Tls, F28UnknownNameAndRefusedPort) {
  use("https://no-such-host.invalid");
  EXPECT_NE(fails(ErrorCode::kNetwork).message.find("no-such-host.invalid"), std::string::npos);
  use("https://127.0.0.1:1");
  fails(ErrorCode::kNetwork);
}

TEST_F(Tls, F18RedirectFromHttpsToHttpIsRefused) {
  FakeHub other;
  other.set_file("model.bin", hub_.content("model.bin"));
  const TlsFront front(ca_.issue("127.0.0.1"), hub_.port());
  use(front.url());
  hub_.set_hook([&](const HubRequest& request, HubReply& reply) {
    if (request.file.empty()) return;
    reply = HubReply();
    reply.status = 302;
    reply.set("Location", other.url() + request.path + "?" + request.query);
  });
  const Error error = fails(ErrorCode::kPolicy);
  EXPECT_NE(error.message.find("https"), std::string::npos) << error.one_line();
  EXPECT_TRUE(other.requests().empty());
}

// The same bytes reached over another scheme, host name or port: fetched, and the token stays home.
TEST_F(Tls, F17TokenStaysWithSchemeHostAndPort) {
  const TlsFront front(ca_.issue("localhost"), hub_.port());
  const std::string same_host = "http://localhost:" + std::to_string(hub_.port());
  FakeHub entry;  // the configured endpoint
  entry.set_file("model.bin", hub_.content("model.bin"));
  config_.modelscope_token = config_.huggingface_token = "canary-token";
  for (const std::string& target : {hub_.url(), same_host, front.url("localhost")}) {
    for (const Source source : {Source::kModelScope, Source::kHuggingFace}) {
      hub_.forget_requests();
      use(entry.url());
      entry.set_hook([&](const HubRequest& request, HubReply& reply) {
        if (request.file.empty()) return;
        reply = HubReply();
        reply.status = 307;
        reply.set("Location", target + request.path + "?" + request.query);
      });
      DownloadOptions options = from(source);
      options.force = true;
      ASSERT_TRUE(download(options)) << target;
      ASSERT_FALSE(hub_.requests().empty());
      for (const HubRequest& request : hub_.requests()) {
        for (const auto& [name, value] : request.headers) {
          EXPECT_EQ(value.find("canary"), std::string::npos) << target << " was sent " << name;
        }
      }
      const auto asked = entry.requests();
      EXPECT_TRUE(
          std::any_of(asked.begin(), asked.end(), [](const auto& request) { return request.has("authorization"); }));
    }
  }
}

}  // namespace
}  // namespace mhub::hub::test
