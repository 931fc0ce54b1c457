// SPDX-License-Identifier: Apache-2.0
#include "frame_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "frames.h"

namespace mhub::engine::test {
namespace {

using std::chrono::milliseconds;
using Received = FrameSocket::Received;

struct Pair {
  Pair() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0); }
  int fds[2];
};

TEST(FrameSocket, FramesArriveWholeAndInOrder) {
  Pair pair;
  FrameSocket a(pair.fds[0]), b(pair.fds[1]);
  SubmitFrame large{5, {}};
  large.request.prompt = std::vector<TokenId>(1'000'000, 3);  // many times the socket's buffer
  std::thread sender([&] {
    for (const Frame& frame : sample_frames()) EXPECT_TRUE(a.send(frame));
    EXPECT_TRUE(a.send(large));
  });
  Frame frame;
  for (const Frame& expected : sample_frames()) {
    ASSERT_EQ(b.receive(frame, std::chrono::seconds(10)), Received::kFrame);
    EXPECT_EQ(frame.index(), expected.index());
  }
  ASSERT_EQ(b.receive(frame, std::chrono::seconds(10)), Received::kFrame);
  EXPECT_EQ(std::get<SubmitFrame>(frame).request.prompt.size(), 1'000'000u);
  EXPECT_EQ(b.receive(frame, milliseconds(1)), Received::kTimeout);
  sender.join();
}

TEST(FrameSocket, AGonePeerIsClosedAfterWhatItHadSaid) {
  Pair pair;
  FrameSocket a(pair.fds[0]);
  {
    FrameSocket b(pair.fds[1]);
    b.send(FaultFrame{{ErrorCode::kBadModel, "why", "", ""}});
  }
  Frame frame;
  ASSERT_EQ(a.receive(frame, milliseconds(0)), Received::kFrame);
  EXPECT_EQ(std::get<FaultFrame>(frame).error.message, "why");
  EXPECT_EQ(a.receive(frame, milliseconds(0)), Received::kClosed);
  EXPECT_TRUE(a.error().empty());
  EXPECT_FALSE(a.send(ShutdownFrame{}));
}

TEST(FrameSocket, BytesThatAreNoFrameCloseIt) {
  for (const std::string& bytes : {std::string("\xff\xff\xff\xff"), std::string("\x01\0\0\0\xc8", 5)}) {
    Pair pair;
    FrameSocket a(pair.fds[0]);
    ASSERT_EQ(write(pair.fds[1], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    Frame frame;
    EXPECT_EQ(a.receive(frame, std::chrono::seconds(5)), Received::kClosed);
    EXPECT_FALSE(a.error().empty());
    close(pair.fds[1]);
  }
}

TEST(FrameSocket, ShutDownWakesTheReceiver) {
  Pair pair;
  FrameSocket a(pair.fds[0]), b(pair.fds[1]);
  std::thread closer([&] { b.shut_down(); });
  Frame frame;
  EXPECT_EQ(a.receive(frame, std::chrono::seconds(30)), Received::kClosed);
  closer.join();
}

}  // namespace
}  // namespace mhub::engine::test
