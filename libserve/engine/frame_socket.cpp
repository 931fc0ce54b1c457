// SPDX-License-Identifier: Apache-2.0
#include "frame_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "mhub/base/bytes.h"

namespace mhub::engine {
namespace {

constexpr size_t kReadChunk = 64u << 10;

// True when the event came; false on timeout or error.
bool wait_for(int fd, short event, std::chrono::milliseconds timeout) {
  pollfd polled{fd, event, 0};
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const int n = poll(&polled, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
    if (n > 0) return true;
    if (n == 0 || errno != EINTR) return false;
  }
}

}  // namespace

FrameSocket::FrameSocket(int fd) : fd_(fd) {
  fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
}
FrameSocket::~FrameSocket() {
  close(fd_);
}

bool FrameSocket::send(const Frame& frame) {
  std::lock_guard lock(send_mutex_);
  outgoing_.clear();
  append_frame(frame, outgoing_);
  return flush_locked();
}

bool FrameSocket::send_step(const EngineStats& stats, std::span<const RequestDelta> deltas) {
  std::lock_guard lock(send_mutex_);
  outgoing_.clear();
  append_step_frame(stats, deltas, outgoing_);
  return flush_locked();
}

bool FrameSocket::flush_locked() {
  for (size_t sent = 0; sent < outgoing_.size();) {
    const ssize_t n = ::send(fd_, outgoing_.data() + sent, outgoing_.size() - sent, MSG_NOSIGNAL);
    if (n > 0) {
      sent += static_cast<size_t>(n);
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else if (n >= 0 || errno != EAGAIN || !wait_for(fd_, POLLOUT, kSendPatience)) {
      shut_down();
      return false;
    }
  }
  return true;
}

bool FrameSocket::take_frame(Frame& frame, Received& outcome) {
  const auto have = incoming_.size() - consumed_;
  if (have < sizeof(uint32_t)) return false;
  const auto length = load_le<uint32_t>(incoming_.data() + consumed_);
  if (length > kMaxFrameBytes) {
    error_ = fmt::format("engine protocol: a frame claims {} bytes, the limit is {}", length, kMaxFrameBytes);
    outcome = Received::kClosed;
    return true;
  }
  if (have < sizeof(uint32_t) + length) return false;
  const auto* payload = reinterpret_cast<const std::byte*>(incoming_.data() + consumed_ + sizeof(uint32_t));
  auto decoded = decode_frame(std::span(payload, length));
  consumed_ += sizeof(uint32_t) + length;
  if (decoded) {
    frame = *std::move(decoded);
    outcome = Received::kFrame;
  } else {
    error_ = decoded.error().message;
    outcome = Received::kClosed;
  }
  return true;
}

FrameSocket::Received FrameSocket::receive(Frame& frame, std::chrono::milliseconds timeout) {
  Received outcome = Received::kClosed;
  if (!error_.empty()) return outcome;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!take_frame(frame, outcome)) {
    incoming_.erase(0, consumed_);
    consumed_ = 0;
    const size_t old_size = incoming_.size();
    incoming_.resize(old_size + kReadChunk);
    const ssize_t n = recv(fd_, incoming_.data() + old_size, kReadChunk, 0);
    const int reason = errno;
    incoming_.resize(old_size + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (n > 0 || (n < 0 && reason == EINTR)) continue;
    if (n == 0 || reason != EAGAIN) return Received::kClosed;
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (!wait_for(fd_, POLLIN, left)) return Received::kTimeout;
  }
  return outcome;
}

void FrameSocket::shut_down() {
  shutdown(fd_, SHUT_RDWR);
}

}  // namespace mhub::engine
