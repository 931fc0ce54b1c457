// SPDX-License-Identifier: Apache-2.0
#include "http_stream.h"

#include <gtest/gtest.h>

#include <vector>

namespace mhub::apps {
namespace {

struct Seen {
  HttpStream stream;
  std::vector<std::string> events;

  void feed(std::string_view bytes) {
    stream.feed(bytes, [this](std::string_view event) { events.emplace_back(event); });
  }
};

constexpr std::string_view kStream =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    "b\r\ndata: one\n\n\r\n"
    "7\r\ndata: t\r\n"
    "6\r\nwo\r\n\r\n\r\n"
    "f\r\n: ping\ndata: 3\n\r\n"
    "0\r\n\r\n";

TEST(HttpStream, FindsTheEventsHoweverTheBytesArrive) {
  for (size_t piece = 1; piece <= kStream.size(); ++piece) {
    Seen seen;
    for (size_t at = 0; at < kStream.size(); at += piece) {
      EXPECT_FALSE(seen.stream.done()) << piece;
      seen.feed(kStream.substr(at, piece));
    }
    EXPECT_TRUE(seen.stream.done()) << piece;
    EXPECT_EQ(seen.stream.status(), 200);
    EXPECT_EQ(seen.events, (std::vector<std::string>{"one", "two", "3"})) << piece;
  }
}

TEST(HttpStream, ABodyOfAGivenLengthIsLeftWhole) {
  Seen seen;
  seen.feed("HTTP/1.1 404 Not Found\r\ncontent-length: 12\r\n\r\n{\"error\":");
  EXPECT_FALSE(seen.stream.done());
  seen.feed("{}}");
  EXPECT_TRUE(seen.stream.done());
  EXPECT_EQ(seen.stream.status(), 404);
  EXPECT_EQ(seen.stream.rest(), "{\"error\":{}}");
}

TEST(HttpStream, WhatIsNoResponseIsBad) {
  for (const char* bytes :
       {"SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc"}) {
    Seen seen;
    seen.feed(bytes);
    EXPECT_TRUE(seen.stream.bad()) << bytes;
    seen.feed("data: late\n");
    EXPECT_TRUE(seen.stream.bad()) << bytes;
    EXPECT_TRUE(seen.events.empty()) << bytes;
  }
}

}  // namespace
}  // namespace mhub::apps
