// SPDX-License-Identifier: Apache-2.0
#include "byte_sink.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace mhub::httpd {
namespace {
constexpr size_t kJoinedBytes = 16 << 10;
}  // namespace

bool socket_peer_gone(int fd) {
  pollfd entry{fd, POLLRDHUP, 0};
  return poll(&entry, 1, 0) > 0 && (entry.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0;
}

bool SocketSink::peer_gone() const {
  return failed_ || socket_peer_gone(channel_.fd());
}

bool SocketSink::wait_writable() const {
  for (;;) {
    pollfd entry{channel_.fd(), POLLOUT, 0};
    const int ready = poll(&entry, 1, stall_seconds_ * 1000);
    if (ready < 0 && errno == EINTR) continue;
    return ready > 0 && (entry.revents & POLLOUT) != 0 && (entry.revents & POLLERR) == 0;
  }
}

bool SocketSink::send_all(std::string_view bytes, bool more) {
  while (!bytes.empty() && !failed_) {
    const ssize_t n = channel_.send(bytes, more);
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      failed_ = !wait_writable();
    } else if (errno != EINTR) {
      failed_ = true;
    }
  }
  return !failed_;
}

// One segment for what was held (the header) and the first bytes after it.
bool SocketSink::write(std::string_view bytes) {
  const std::string_view joined = held_.empty() ? "" : bytes.substr(0, kJoinedBytes);
  std::string held = std::exchange(held_, {});
  held += joined;
  bytes.remove_prefix(joined.size());
  return send_all(held, !bytes.empty()) && send_all(bytes, false);
}

bool SocketSink::flush() {
  const std::string held = std::exchange(held_, {});
  return send_all(held, false);
}

bool SocketSink::write_file(int fd, uint64_t offset, uint64_t length) {
  const std::string held = std::exchange(held_, {});
  if (!send_all(held, length > 0)) return false;
  auto position = static_cast<off_t>(offset);
  while (length > 0) {
    const ssize_t n = channel_.send_file(fd, position, std::min<uint64_t>(length, 1u << 30));
    if (n > 0) {
      length -= static_cast<uint64_t>(n);
    } else if (n == 0) {
      failed_ = true;  // the file became shorter: the promised length cannot be kept
      return false;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!wait_writable()) failed_ = true;
    } else if (errno != EINTR) {
      failed_ = true;
    }
    if (failed_) return false;
  }
  return true;
}

bool BufferSink::peer_gone() const {
  return socket_peer_gone(fd_);
}

bool BufferSink::write_file(int fd, uint64_t offset, uint64_t length) {
  char block[64 << 10];
  while (length > 0) {
    const ssize_t n = pread(fd, block, std::min<uint64_t>(length, sizeof(block)), static_cast<off_t>(offset));
    if (n <= 0) return false;
    bytes_.append(block, static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
    length -= static_cast<uint64_t>(n);
  }
  return true;
}

}  // namespace mhub::httpd
