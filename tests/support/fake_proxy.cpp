// SPDX-License-Identifier: Apache-2.0
#include "support/fake_proxy.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "support/loopback.h"

namespace mhub::test {
namespace {

// "GET http://host:port/path HTTP/1.1": the origin wants the path alone.
std::string with_path_alone(std::string head) {
  const size_t target = head.find(' ') + 1;
  if (head.compare(target, 7, "http://") == 0) head.erase(target, head.find('/', target + 7) - target);
  return head;
}

}  // namespace

FakeProxy::FakeProxy(int target_port) : target_port_(target_port) {}

std::vector<std::string> FakeProxy::request_lines() const {
  const std::lock_guard lock(mutex_);
  return lines_;
}

void FakeProxy::serve(int fd) {
  std::string head;
  std::array<char, 8192> buffer;
  while (head.find("\r\n\r\n") == std::string::npos) {
    const ssize_t n = recv(fd, buffer.data(), buffer.size(), 0);
    if (n <= 0) break;
    head.append(buffer.data(), static_cast<size_t>(n));
  }
  const std::string line = head.substr(0, head.find("\r\n"));
  {
    const std::lock_guard lock(mutex_);
    lines_.push_back(line);
  }
  const bool known = basic_.empty() || head.find("Proxy-Authorization: Basic " + basic_) != std::string::npos;
  const bool tunnel = line.starts_with("CONNECT ");
  if (!known) {
    send_whole(fd, "HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n");
  } else if (tunnel && connect_status_ != 200) {
    send_whole(fd, "HTTP/1.1 " + std::to_string(connect_status_) + " No\r\nContent-Length: 0\r\n\r\n");
  } else if (const int target = connect_to_loopback(target_port_); target >= 0) {
    bool ready;
    if (tunnel) {
      ready = send_whole(fd, "HTTP/1.1 200 Connected\r\n\r\n");
    } else {
      ready = send_whole(target, with_path_alone(head));
    }
    if (ready) relay(fd, target, tunnel);
    close(target);
  }
}

void FakeProxy::relay(int client, int target, bool tunnel) {
  std::array<char, 16384> buffer;
  pollfd ends[] = {{client, POLLIN, 0}, {target, POLLIN, 0}};
  size_t to_client = 0;
  const bool dropping = drop_bytes_ > 0 && drops_left_.fetch_sub(1) > 0;
  while (!server_.stopping()) {
    if (poll(ends, 2, 100) <= 0) continue;
    for (int i = 0; i < 2; ++i) {
      if (ends[i].revents == 0) continue;
      const ssize_t n = recv(ends[i].fd, buffer.data(), buffer.size(), 0);
      if (n <= 0) return;
      std::string bytes(buffer.data(), static_cast<size_t>(n));
      if (i == 0 && !tunnel) bytes = with_path_alone(std::move(bytes));  // a request comes in one piece
      if (!send_whole(ends[1 - i].fd, bytes)) return;
      if (i == 1) to_client += static_cast<size_t>(n);
    }
    if (dropping && to_client >= drop_bytes_) return;
  }
}

}  // namespace mhub::test
