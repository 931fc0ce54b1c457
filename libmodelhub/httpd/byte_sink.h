// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "channel.h"

namespace mhub::httpd {

// Where a response goes. hold() keeps bytes back so that they leave together with what follows.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual void hold(std::string_view bytes) = 0;
  virtual bool write(std::string_view bytes) = 0;  // false: the peer is gone or too slow
  virtual bool write_file(int fd, uint64_t offset, uint64_t length) = 0;
  virtual bool flush() = 0;
  virtual bool peer_gone() const = 0;
};

// Straight to a connection; waits at most `stall_seconds` without progress.
class SocketSink final : public ByteSink {
 public:
  SocketSink(Channel& channel, int stall_seconds) : channel_(channel), stall_seconds_(stall_seconds) {}
  void hold(std::string_view bytes) override { held_.append(bytes); }
  bool write(std::string_view bytes) override;
  bool write_file(int fd, uint64_t offset, uint64_t length) override;
  bool flush() override;
  bool failed() const { return failed_; }
  bool peer_gone() const override;

 private:
  bool wait_writable() const;
  bool send_all(std::string_view bytes, bool more);
  Channel& channel_;
  int stall_seconds_;
  bool failed_ = false;
  std::string held_;
};

// Into memory, for small answers that the event loop sends (public routes, refusals).
class BufferSink final : public ByteSink {
 public:
  explicit BufferSink(int fd) : fd_(fd) {}
  void hold(std::string_view bytes) override { bytes_.append(bytes); }
  bool write(std::string_view bytes) override {
    bytes_.append(bytes);
    return true;
  }
  bool write_file(int fd, uint64_t offset, uint64_t length) override;
  bool flush() override { return true; }
  bool peer_gone() const override;
  std::string take() { return std::move(bytes_); }

 private:
  int fd_;
  std::string bytes_;
};

// The peer has closed or half-closed its side. A half-closed client counts as gone (libmodelhub/httpd/README.md).
bool socket_peer_gone(int fd);

}  // namespace mhub::httpd
