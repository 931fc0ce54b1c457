// SPDX-License-Identifier: Apache-2.0
#include "listener.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace mhub::httpd {
namespace {
constexpr int kBacklog = 4096;  // the kernel lowers it to net.core.somaxconn
}

Result<Listener> listen_on(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int status = getaddrinfo(host.empty() ? nullptr : host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (status != 0) {
    return Error{ErrorCode::kUsage, fmt::format("listening on host {}: {}", printable(host), gai_strerror(status)),
                 "give an address of this machine with --host", ""};
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  const int on = 1;
  UniqueFd fd(socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd || setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 || listen(fd.get(), kBacklog) != 0) {
    return Error{ErrorCode::kAddressInUse,
                 fmt::format("listening on {}:{}: {}", printable(host), port, std::strerror(errno)),
                 "stop the other program or choose another --port", ""};
  }
  sockaddr_storage bound{};
  socklen_t length = sizeof(bound);
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &length);
  Listener out{std::move(fd), port};
  if (bound.ss_family == AF_INET) out.port = ntohs(reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
  if (bound.ss_family == AF_INET6) out.port = ntohs(reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port);
  return out;
}

}  // namespace mhub::httpd
