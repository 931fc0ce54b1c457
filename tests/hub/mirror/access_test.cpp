// SPDX-License-Identifier: Apache-2.0
#include "mirror/access.h"

#include <gtest/gtest.h>

namespace mhub::hub {
namespace {

TEST(Network, ContainsAddressesOfItsPrefix) {
  const auto net = Network::parse("10.1.0.0/12");
  ASSERT_TRUE(net);
  EXPECT_TRUE(net->contains("10.0.0.1"));
  EXPECT_TRUE(net->contains("10.15.255.255"));
  EXPECT_FALSE(net->contains("10.16.0.0"));
  EXPECT_TRUE(net->contains("::ffff:10.1.2.3")) << "the same address on a dual-stack socket";
  EXPECT_FALSE(net->contains("fd00::1"));
  EXPECT_FALSE(net->contains("no address"));
  EXPECT_TRUE(Network::parse("fd00::/8")->contains("fdab::1"));
  EXPECT_FALSE(Network::parse("fd00::/8")->contains("fe80::1"));
  EXPECT_TRUE(Network::parse("192.168.1.7")->contains("192.168.1.7"));
  EXPECT_FALSE(Network::parse("192.168.1.7")->contains("192.168.1.8"));
  EXPECT_TRUE(Network::parse("0.0.0.0/0")->contains("8.8.8.8"));
}

TEST(Network, RefusesWhatIsNone) {
  for (const char* text : {"", "10", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "fd00::/129", "host", "10.0.0.0/"}) {
    const auto net = Network::parse(text);
    EXPECT_FALSE(net) << text;
    if (!net) {
      EXPECT_EQ(net.error().code, ErrorCode::kUsage);
    }
  }
}

httpd::Request from(const std::string& address, std::vector<std::pair<std::string, std::string>> headers = {}) {
  httpd::Request request;
  request.remote_address = address;
  request.headers = std::move(headers);
  return request;
}

TEST(AccessList, NetworksAndTokens) {
  EXPECT_TRUE(AccessList::make({}, {})->check(from("1.2.3.4")));
  const auto list = AccessList::make({"127.0.0.0/8"}, {"secret", "other"});
  EXPECT_EQ(list->check(from("1.2.3.4", {{"Authorization", "Bearer secret"}})).error().code, ErrorCode::kPolicy);
  EXPECT_EQ(list->check(from("127.0.0.1")).error().code, ErrorCode::kUnauthorized);
  for (const std::string bad : {"Bearer secre", "Bearer secrets", "Bearer ", "Basic secret", "secret"}) {
    EXPECT_EQ(list->check(from("127.0.0.1", {{"Authorization", bad}})).error().code, ErrorCode::kUnauthorized) << bad;
  }
  EXPECT_TRUE(list->check(from("127.0.0.1", {{"Authorization", "Bearer other"}})));
  EXPECT_TRUE(list->check(from("127.0.0.1", {{"Cookie", "a=b; m_session_id=secret; c=d"}})));
  EXPECT_FALSE(list->check(from("127.0.0.1", {{"Cookie", "xm_session_id=secret"}})));
}

}  // namespace
}  // namespace mhub::hub
