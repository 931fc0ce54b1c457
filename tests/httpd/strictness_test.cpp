// SPDX-License-Identifier: Apache-2.0
// What the transport lets through, byte for byte: every case names the answers expected on the connection, in order,
// and whether it must then be closed.
#include <gtest/gtest.h>

#include "test_server.h"

namespace mhub::test {
namespace {

struct Case {
  const char* name;
  std::string bytes;
  std::vector<int> statuses;
  bool closed = true;
};

std::string get(const std::string& path, const std::string& fields = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
}
std::string post(const std::string& fields, const std::string& body = "") {
  return "POST /echo HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n" + body;
}
std::string fields(int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += "X-" + std::to_string(i) + ": v\r\n";
  return out;
}
const std::string kSmuggled = get("/health");
const std::string kNul(1, '\0');

const std::vector<Case> kCases = {
    // Well-formed traffic.
    {"plain", get("/health"), {200}, false},
    {"trailing slash", get("/health/"), {200}, false},
    {"lower case host name", "GET /health HTTP/1.1\r\nhost: h\r\n\r\n", {200}, false},
    {"host with port", "GET /health HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n", {200}, false},
    {"host IPv6", "GET /health HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", {200}, false},
    {"HTTP/1.0 without host", "GET /health HTTP/1.0\r\n\r\n", {200}},
    {"HTTP/1.0 keep-alive", "GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", {200}, false},
    {"connection close", get("/health", "Connection: close\r\n"), {200}},
    {"connection close in a list", get("/health", "Connection: x, Close\r\n"), {200}},
    {"body", post("Content-Length: 3\r\n", "abc"), {200}, false},
    {"empty body", post("Content-Length: 0\r\n"), {200}, false},
    {"chunked body", post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"), {200}, false},
    {"pipelined",
     get("/health") + get("/items/a") + post("Content-Length: 1\r\n", "x") + get("/health"),
     {200, 200, 200, 200},
     false},
    {"unknown path", get("/nothing"), {404}, false},
    {"unknown method of a known path", "DELETE /health HTTP/1.1\r\nHost: h\r\n\r\n", {405}, false},
    {"TRACE", "TRACE /health HTTP/1.1\r\nHost: h\r\n\r\n", {405}, false},
    {"identity coding", post("Content-Encoding: identity\r\nContent-Length: 1\r\n", "x"), {200}, false},
    {"escaped CR LF in a header value stays text", get("/health", "X-A: %0d%0aX-B: 1\r\n"), {200}, false},
    // Message framing (request smuggling).
    {"content length with transfer encoding",
     post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + kSmuggled),
     {400}},
    {"transfer encoding with content length",
     post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n" + kSmuggled),
     {400}},
    {"TE xchunked", post("Transfer-Encoding: xchunked\r\n", kSmuggled), {400}},
    {"TE twice in one", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n" + kSmuggled), {400}},
    {"TE two fields", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), {400}},
    {"TE gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), {400}},
    {"TE capital", post("Transfer-Encoding: Chunked\r\n", "0\r\n\r\n"), {400}},
    {"TE identity", post("Transfer-Encoding: identity\r\n"), {400}},
    {"TE in HTTP/1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}},
    {"two content lengths", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), {400}},
    {"same content length twice", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), {400}},
    {"content length list", post("Content-Length: 3, 3\r\n", "abc"), {400}},
    {"content length +3", post("Content-Length: +3\r\n", "abc"), {400}},
    {"content length -3", post("Content-Length: -3\r\n", "abc"), {400}},
    {"content length 0x3", post("Content-Length: 0x3\r\n", "abc"), {400}},
    {"content length empty", post("Content-Length: \r\n", "abc"), {400}},
    {"content length 1e1", post("Content-Length: 1e1\r\n", "abc"), {400}},
    {"content length 2^64", post("Content-Length: 18446744073709551616\r\n"), {400}},
    {"content length over the limit", post("Content-Length: 8388609\r\n"), {413}},
    {"chunk size -2", post("Transfer-Encoding: chunked\r\n", "-2\r\nab\r\n0\r\n\r\n"), {400}},
    {"chunk size 0x2", post("Transfer-Encoding: chunked\r\n", "0x2\r\nab\r\n0\r\n\r\n"), {400}},
    {"chunk size with space", post("Transfer-Encoding: chunked\r\n", "2 \r\nab\r\n0\r\n\r\n"), {400}},
    {"chunk size empty", post("Transfer-Encoding: chunked\r\n", "\r\nab\r\n0\r\n\r\n"), {400}},
    {"chunk size bare LF", post("Transfer-Encoding: chunked\r\n", "2\nab\r\n0\r\n\r\n"), {400}},
    {"chunk extension", post("Transfer-Encoding: chunked\r\n", "2;a=b\r\nab\r\n0\r\n\r\n"), {400}},
    {"chunk longer than said", post("Transfer-Encoding: chunked\r\n", "2\r\nabc\r\n0\r\n\r\n"), {400}},
    {"chunk trailer", post("Transfer-Encoding: chunked\r\n", "0\r\nX: y\r\n\r\n"), {400}},
    {"chunk of 4 GiB", post("Transfer-Encoding: chunked\r\n", "FFFFFFFF\r\n"), {413}},
    {"chunk size of nine digits", post("Transfer-Encoding: chunked\r\n", "FFFFFFFFF\r\n"), {400}},
    {"compressed body", post("Content-Encoding: gzip\r\nContent-Length: 1\r\n", "x"), {415}},
    // Header syntax.
    {"no host", "GET /health HTTP/1.1\r\n\r\n", {400}},
    {"two hosts", "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", {400}},
    {"empty host", "GET /health HTTP/1.1\r\nHost: \r\n\r\n", {400}},
    {"host with slash", "GET /health HTTP/1.1\r\nHost: a/b\r\n\r\n", {400}},
    {"host with question mark", "GET /health HTTP/1.1\r\nHost: a?b\r\n\r\n", {400}},
    {"host with hash", "GET /health HTTP/1.1\r\nHost: a#b\r\n\r\n", {400}},
    {"host with user", "GET /health HTTP/1.1\r\nHost: u@a\r\n\r\n", {400}},
    {"host with bad port", "GET /health HTTP/1.1\r\nHost: a:8x\r\n\r\n", {400}},
    {"folded line", get("/health", "X: a\r\n b\r\n"), {400}},
    {"space before colon", get("/health", "X : a\r\n"), {400}},
    {"space before the first field", "GET /health HTTP/1.1\r\n Host: h\r\n\r\n", {400}},
    {"no colon", get("/health", "abc\r\n"), {400}},
    {"no name", get("/health", ": a\r\n"), {400}},
    {"bare LF", "GET /health HTTP/1.1\nHost: h\n\n", {400}},
    {"bare CR in a value", get("/health", "X: a\rb\r\n"), {400}},
    {"NUL in a value", get("/health", "X: a" + kNul + "b\r\n"), {400}},
    {"NUL in the target", get("/hea" + kNul + "lth"), {400}},
    {"control character in a value", get("/health", "X: a\x01\r\n"), {400}},
    {"two authorization fields", get("/health", "Authorization: a\r\nAuthorization: b\r\n"), {400}},
    {"two content types", post("Content-Type: a/b\r\nContent-Type: a/c\r\nContent-Length: 0\r\n"), {400}},
    {"unknown expectation", post("Expect: magic\r\nContent-Length: 1\r\n", "x"), {400}},
    {"99 fields beside host", get("/health", fields(99)), {200}, false},
    {"101 fields", get("/health", fields(100)), {431}},
    {"100,001 fields", get("/health", fields(100'000)), {431}},
    {"header of 1 MB", get("/health", "X: " + std::string(1 << 20, 'a') + "\r\n"), {431}},
    {"target of 8 KiB", get("/nothing?" + std::string(8192 - 9, 'a')), {404}, false},
    {"target over 8 KiB", get("/nothing?" + std::string(8192 - 8, 'a')), {414}},
    {"target of 1 MB", get("/" + std::string(1 << 20, 'a')), {414}},
    // Request line.
    {"HTTP/0.9", "GET /health\r\n\r\n", {400}},
    {"HTTP/2.0", "GET /health HTTP/2.0\r\nHost: h\r\n\r\n", {400}},
    {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400}},
    {"TLS hello", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), {400}},
    {"two spaces", "GET  /health HTTP/1.1\r\nHost: h\r\n\r\n", {400}},
    {"lower case method", "get /health HTTP/1.1\r\nHost: h\r\n\r\n", {400}},
    {"leading empty line", "\r\n" + get("/health"), {400}},
    {"absolute form", get("http://h/health"), {400}},
    {"authority form", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", {400}},
    {"asterisk form", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", {400}},
    // One canonical path for router and authorization.
    {"escaped letter", get("/h%65alth"), {200}, false},
    {"capital", get("/Health"), {404}, false},
    {"double slash", get("//health"), {400}},
    {"double slash inside", get("/items//x"), {400}},
    {"dot segment", get("/./health"), {400}},
    {"dot dot segment", get("/items/../health"), {400}},
    {"escaped dot dot segment", get("/items/%2e%2E/health"), {400}},
    {"escaped slash makes segments", get("/items/a%2F..%2Fb"), {400}},
    {"escaped CR LF", get("/health%0d%0aX:1"), {400}},
    {"escaped NUL", get("/health%00"), {400}},
    {"escaped NUL in the query", get("/query?a=%00"), {400}},
    {"broken escape", get("/health%4"), {400}},
    {"broken escape digits", get("/health%zz"), {400}},
    {"escaped half a character", get("/items/%C3"), {400}},
    {"overlong UTF-8", get("/items/%C0%AF"), {400}},
    {"backslash", get("/items\\x"), {400}},
    {"escaped backslash", get("/items/%5C"), {400}},
    {"raw UTF-8", get("/items/\xC3\xA9"), {400}},
    {"fragment", get("/health#x"), {400}},
    {"semicolon", get("/health;a"), {404}, false},
};

TEST(Strictness, EveryByteSequenceHasItsAnswer) {
  TestServer server;
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.name);
    RawClient client = server.client();
    client.send(c.bytes);
    for (const int status : c.statuses) {
      const auto response = client.response();
      ASSERT_TRUE(response) << "no answer, expected " << status;
      EXPECT_EQ(response->status, status) << response->head << response->body;
    }
    if (c.closed) {
      EXPECT_TRUE(client.closed(4)) << "more was answered, or the connection stayed open";
    } else {
      client.send(get("/health"));
      const auto next = client.response();
      ASSERT_TRUE(next);
      EXPECT_EQ(next->status, 200);
      EXPECT_EQ(next->body, "ok");
    }
  }
}

TEST(Strictness, OneByteAtATimeGivesTheSameAnswers) {
  TestServer server;
  RawClient client = server.client();
  for (const char c : post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n") + get("/health")) {
    client.send(std::string_view(&c, 1));
  }
  EXPECT_EQ(client.response()->body, "abc");
  EXPECT_EQ(client.response()->body, "ok");
}

TEST(Strictness, RandomBytesAreAnsweredOrClosed) {
  TestServer server;
  unsigned state = 1;
  for (int i = 0; i < 300; ++i) {
    std::string blob;
    for (int j = 0; j < 64; ++j) blob += static_cast<char>((state = state * 1103515245 + 12345) >> 16);
    if (i % 3 == 0) blob = "GET " + blob;
    RawClient client = server.client();
    client.send(blob + "\r\n\r\n");
    client.shutdown_write();
    if (const auto response = client.response(5)) {
      EXPECT_EQ(response->status, 400);
    }
    EXPECT_TRUE(client.closed(5));
  }
  RawClient client = server.client();
  client.send(get("/health"));
  EXPECT_EQ(client.response()->status, 200);
}

}  // namespace
}  // namespace mhub::test
