// SPDX-License-Identifier: Apache-2.0
#include "net/curl_transport.h"

#include <gtest/gtest.h>

#include "net/url.h"
#include "support/fake_hub.h"

namespace mhub::hub {
namespace {

using mhub::test::FakeHub;
using mhub::test::HubReply;
using mhub::test::HubRequest;

class Transport : public ::testing::Test {
 protected:
  Result<HttpResponse> get(const std::string& url, size_t max_bytes = 1 << 20, const std::string& endpoint = "") {
    CurlTransport transport({1, 0.5, "", ""});
    HttpRequest request;
    request.url = url;
    request.endpoint = *origin_of(endpoint.empty() ? url : endpoint);
    request.credentials = {request.endpoint, {{"Authorization", "Bearer canary"}}};
    return fetch(transport, std::move(request), max_bytes, {}).response;
  }
  // The hub answers everything with a redirect there.
  void redirect_to(const std::string& target) {
    hub_.set_hook([target](const HubRequest& request, HubReply& reply) {
      if (request.path == "/end") {
        reply = HubReply();
        reply.body = "the end";
        return;
      }
      reply = HubReply();
      reply.status = 302;
      reply.set("Location", target);
    });
  }
  FakeHub hub_;
};

TEST_F(Transport, FollowsRelativeRedirects) {
  redirect_to("/end");
  const auto response = get(hub_.url() + "/a/b");
  ASSERT_TRUE(response) << response.error().one_line();
  EXPECT_EQ(response->body, "the end");
  EXPECT_EQ(response->head.url, hub_.url() + "/end");
  EXPECT_EQ(hub_.requests().back().headers.at("authorization"), "Bearer canary") << "the same origin";
}

TEST_F(Transport, CredentialsStayAtTheirOrigin) {
  FakeHub other;
  other.set_hook([](const HubRequest&, HubReply& reply) { reply = HubReply(); });
  redirect_to(other.url() + "/x");
  ASSERT_TRUE(get(hub_.url() + "/a"));
  EXPECT_FALSE(other.requests().front().has("authorization"));
}

TEST_F(Transport, CredentialsComeBackOnlyWithTheirOrigin) {
  FakeHub other;
  const std::string home = hub_.url() + "/end";
  other.set_hook([home](const HubRequest&, HubReply& reply) {
    reply = HubReply();
    reply.status = 307;
    reply.set("Location", home);
  });
  redirect_to(other.url() + "/x");
  ASSERT_TRUE(get(hub_.url() + "/a"));
  EXPECT_FALSE(other.requests().front().has("authorization"));
  EXPECT_TRUE(hub_.requests().back().has("authorization"));
}

TEST_F(Transport, PrivateTargetIsRefusedWhenTheEndpointIsPublic) {
  // The same connection is fine for an endpoint on loopback, not for one that is not known to be private.
  redirect_to("/end");
  EXPECT_TRUE(get(hub_.url() + "/a"));
  const auto refused = get(hub_.url() + "/a", 1 << 20, "https://modelscope.example");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kPolicy);
  EXPECT_EQ(hub_.requests().size(), 2u);
}

TEST_F(Transport, PrivateNameIsRefusedByTheConnectedAddress) {
  const auto refused =
      get("http://localhost:" + std::to_string(hub_.port()) + "/end", 1 << 20, "https://modelscope.example");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kPolicy);
  EXPECT_TRUE(hub_.requests().empty());
}

TEST_F(Transport, TenRedirectsAreEnough) {
  hub_.set_hook([](const HubRequest& request, HubReply& reply) {
    const int n = std::atoi(request.path.c_str() + 1);
    reply = HubReply();
    if (n == 0) return;
    reply.status = 302;
    reply.set("Location", "/" + std::to_string(n - 1));
  });
  EXPECT_TRUE(get(hub_.url() + "/10"));
  const auto refused = get(hub_.url() + "/11");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kNetwork);
}

TEST_F(Transport, BodyOverTheLimit) {
  hub_.set_hook([](const HubRequest& request, HubReply& reply) {
    reply = HubReply();
    reply.body = std::string(2000, 'x');
    reply.without_length = request.path == "/endless";
  });
  EXPECT_EQ(get(hub_.url() + "/a", 1000).error().code, ErrorCode::kPolicy);
  EXPECT_EQ(get(hub_.url() + "/endless", 1000).error().code, ErrorCode::kPolicy);
  EXPECT_TRUE(get(hub_.url() + "/a", 2000));
}

TEST_F(Transport, HeaderFlood) {
  hub_.set_hook([](const HubRequest&, HubReply& reply) {
    for (int i = 0; i < 100; ++i) reply.headers.emplace_back("X-Filler-" + std::to_string(i), std::string(1000, 'x'));
  });
  EXPECT_EQ(get(hub_.url() + "/a").error().code, ErrorCode::kNetwork);
}

TEST_F(Transport, SilentServerAndRefusedPort) {
  hub_.set_hook([](const HubRequest&, HubReply& reply) {
    reply.body = "abc";
    reply.stall_after = 1;
  });
  const auto stalled = get(hub_.url() + "/a");
  ASSERT_FALSE(stalled);
  EXPECT_NE(stalled.error().message.find("fewer than"), std::string::npos);
  const auto refused = get("http://127.0.0.1:1/");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kNetwork);
}

TEST_F(Transport, MessagesNameNoSecrets) {
  hub_.set_hook([](const HubRequest&, HubReply& reply) { reply.cut_after = 0; });
  const auto failed = get(hub_.url() + "/a?Signature=canary");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().one_line().find("canary"), std::string::npos) << failed.error().one_line();
}

}  // namespace
}  // namespace mhub::hub
