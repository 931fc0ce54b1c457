// SPDX-License-Identifier: Apache-2.0
#include "net/url.h"

#include <gtest/gtest.h>

namespace mhub::hub {
namespace {

TEST(Url, OriginFillsInThePort) {
  EXPECT_EQ(*origin_of("https://Example.com/a?b"), "https://example.com:443");
  EXPECT_EQ(*origin_of("http://127.0.0.1:8090/a"), "http://127.0.0.1:8090");
}

TEST(Url, OnlyHttpWithoutSecrets) {
  for (const char* bad : {"file:///etc/passwd", "gopher://h/", "ftp://h/", "http://user:pw@h/", "http://u@h/",
                          "http://h\\@evil/", "http://", "nonsense"}) {
    EXPECT_FALSE(parse_url(bad)) << bad;
  }
}

TEST(Url, LocationIsResolvedAgainstItsBase) {
  EXPECT_EQ(*resolve_location("http://h:1/a/b?c", "/d"), "http://h:1/d");
  EXPECT_EQ(*resolve_location("http://h:1/a/b?c", "d"), "http://h:1/a/d");
  EXPECT_EQ(*resolve_location("http://h:1/a", "https://i/x?y=1"), "https://i/x?y=1");
  EXPECT_FALSE(resolve_location("http://h:1/a", "file:///etc/passwd"));
  EXPECT_FALSE(resolve_location("http://h:1/a", "http:\\\\evil\\x"));
}

TEST(Url, MessagesShowNoSecrets) {
  EXPECT_EQ(redact_url("https://user:secret@h/path?X-Amz-Signature=abc#f"), "https://h/path");
  EXPECT_EQ(redact_url("https://h/a@b"), "https://h/a@b");
}

TEST(Url, PercentEncoding) {
  EXPECT_EQ(percent_encode("refs/pr/1", false), "refs%2Fpr%2F1");
  EXPECT_EQ(percent_encode("a b/\xe5\x8c\x97.txt", true), "a%20b/%E5%8C%97.txt");
}

TEST(Url, Addresses) {
  for (const char* text : {"127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.0.1", "169.254.1.1", "0.0.0.0", "::1",
                           "::", "fe80::1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "[::1]", "100.64.0.1"}) {
    EXPECT_EQ(classify_address(text), AddressKind::kPrivate) << text;
  }
  for (const char* text : {"169.254.169.254", "::ffff:169.254.169.254", "[::ffff:a9fe:a9fe]"}) {
    EXPECT_EQ(classify_address(text), AddressKind::kForbidden) << text;
  }
  for (const char* text : {"8.8.8.8", "172.32.0.1", "2606:4700::1111", "modelscope.cn"}) {
    EXPECT_EQ(classify_address(text), AddressKind::kPublic) << text;
  }
}

}  // namespace
}  // namespace mhub::hub
