// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace mhub::test {

struct RawResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string head, body;                      // body decoded from chunks
};

// A loopback TCP client that sends exactly the bytes it is told to.
class RawClient {
 public:
  explicit RawClient(int port, int receive_buffer = 0) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) throw std::runtime_error("connect");
  }
  RawClient(RawClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {}
  ~RawClient() { close_now(); }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  void shutdown_write() { shutdown(fd_, SHUT_WR); }
  void close_now() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  // One whole response; nullopt when the connection ends or `seconds` pass first.
  std::optional<RawResponse> response(double seconds = 10, bool head_only = false) {
    deadline_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    RawResponse out;
    const auto head = take_until("\r\n\r\n");
    if (!head) return std::nullopt;
    out.head = *head;
    out.status = std::atoi(head->substr(9, 3).c_str());
    parse_headers(out);
    if (head_only || out.status == 100 || out.status == 204 || out.status == 304) return out;
    if (out.headers.count("transfer-encoding") != 0) {
      for (;;) {
        const auto size = take_until("\r\n");
        if (!size) return std::nullopt;
        const auto n = std::strtoul(size->c_str(), nullptr, 16);
        const auto data = take(n + 2);
        if (!data) return std::nullopt;
        if (n == 0) return out;
        out.body += data->substr(0, n);
      }
    }
    if (const auto length = out.headers.find("content-length"); length != out.headers.end()) {
      const auto body = take(std::strtoul(length->second.c_str(), nullptr, 10));
      if (!body) return std::nullopt;
      out.body = *body;
      return out;
    }
    while (fill()) {
    }
    out.body = std::exchange(buffer_, {});
    return out;
  }

  // True when the server closes within `seconds` and nothing is left to read.
  bool closed(double seconds = 5) {
    deadline_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    if (!buffer_.empty()) return false;
    while (fill()) {
      if (!buffer_.empty()) return false;
    }
    return ended_;
  }
  // Bytes of one recv, for tests about segments.
  std::string receive_once(double seconds = 5) {
    deadline_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    fill();
    return std::exchange(buffer_, {});
  }

 private:
  using Clock = std::chrono::steady_clock;
  bool fill() {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
    pollfd entry{fd_, POLLIN, 0};
    if (left <= 0 || poll(&entry, 1, static_cast<int>(left)) <= 0) return false;
    char bytes[64 << 10];
    const ssize_t n = recv(fd_, bytes, sizeof(bytes), 0);
    if (n <= 0) {
      ended_ = true;
      return false;
    }
    buffer_.append(bytes, static_cast<size_t>(n));
    return true;
  }
  std::optional<std::string> take(size_t n) {
    while (buffer_.size() < n) {
      if (!fill()) return std::nullopt;
    }
    std::string out = buffer_.substr(0, n);
    buffer_.erase(0, n);
    return out;
  }
  std::optional<std::string> take_until(std::string_view mark) {
    size_t at;
    while ((at = buffer_.find(mark)) == std::string::npos) {
      if (!fill()) return std::nullopt;
    }
    return take(at + mark.size());
  }
  static void parse_headers(RawResponse& out) {
    size_t begin = out.head.find("\r\n") + 2;
    while (begin + 2 < out.head.size()) {
      const size_t end = out.head.find("\r\n", begin);
      const std::string line = out.head.substr(begin, end - begin);
      const size_t colon = line.find(": ");
      if (colon != std::string::npos) {
        std::string name = line.substr(0, colon);
        for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        out.headers[name] = line.substr(colon + 2);
      }
      begin = end + 2;
    }
  }

  int fd_ = -1;
  std::string buffer_;
  bool ended_ = false;
  Clock::time_point deadline_;
};

}  // namespace mhub::test
