// SPDX-License-Identifier: Apache-2.0
#include "channel.h"

#include <sys/sendfile.h>
#include <sys/socket.h>

namespace mhub::httpd {

ssize_t PlainChannel::receive(std::span<char> into) {
  return recv(fd(), into.data(), into.size(), 0);
}

ssize_t PlainChannel::send(std::string_view bytes, bool more) {
  return ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | (more ? MSG_MORE : 0));
}

ssize_t PlainChannel::send_file(int file, off_t& position, size_t length) {
  return sendfile(fd(), file, &position, length);
}

bool PlainChannel::end_output() {
  return shutdown(fd(), SHUT_WR) == 0;
}

}  // namespace mhub::httpd
