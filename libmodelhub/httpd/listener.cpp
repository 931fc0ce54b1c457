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

Error listen_error(const std::string& host, int port, int error_number) {
  Error error{ErrorCode::kUsage,
              fmt::format("listening on {}:{}: {}", printable(host), port, std::strerror(error_number)), "", ""};
  switch (error_number) {
    case EADDRINUSE:
      error.code = ErrorCode::kAddressInUse;
      error.hint = "stop the other program or choose another --port";
      break;
    case EACCES:
      error.hint = "choose a --port from 1024 on, or give the program CAP_NET_BIND_SERVICE";
      break;
    case EADDRNOTAVAIL:
      error.hint = "give an address of this machine with --host";
      break;
    default:
      error.code = ErrorCode::kNetwork;
      error.hint = "see whether this machine's network knows such an address, and `ulimit -n`";
  }
  return error;
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
    return listen_error(host, port, errno);
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
