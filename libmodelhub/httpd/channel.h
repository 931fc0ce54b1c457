// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "unique_fd.h"

namespace mhub::httpd {

// The bytes of one connection over its non-blocking socket. Results and errno are those of recv(2), send(2) and
// sendfile(2); EAGAIN also where TLS has to wait for its peer.
class Channel {
 public:
  explicit Channel(UniqueFd fd) : fd_(std::move(fd)) {}
  virtual ~Channel() = default;
  int fd() const { return fd_.get(); }
  virtual ssize_t receive(std::span<char> into) = 0;
  // `more`: something follows at once.
  virtual ssize_t send(std::string_view bytes, bool more) = 0;
  virtual ssize_t send_file(int file, off_t& position, size_t length) = 0;
  // Says that no more comes from our side. False when the connection is gone.
  virtual bool end_output() = 0;
  // receive() cannot go on before the socket takes more bytes.
  virtual bool waits_to_write() const { return false; }

 private:
  UniqueFd fd_;
};

class PlainChannel final : public Channel {
 public:
  using Channel::Channel;
  ssize_t receive(std::span<char> into) override;
  ssize_t send(std::string_view bytes, bool more) override;
  ssize_t send_file(int file, off_t& position, size_t length) override;
  bool end_output() override;
};

}  // namespace mhub::httpd
