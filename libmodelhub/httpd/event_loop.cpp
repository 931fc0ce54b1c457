// SPDX-License-Identifier: Apache-2.0
#include "event_loop.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "mhub/base/check.h"

namespace mhub::httpd {
namespace {

constexpr uint64_t kListenerId = 0, kWakeupId = 1, kFirstConnectionId = 2;
constexpr auto kTick = std::chrono::milliseconds(100);
constexpr auto kLingerTime = std::chrono::seconds(2);
constexpr size_t kLingerBytes = 16 << 20;
constexpr size_t kReadBytes = 64 << 10;
constexpr auto kEvictableHeadAge = std::chrono::seconds(1);

std::string address_text(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&address)->sin_addr, text, sizeof(text));
  } else if (address.ss_family == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&address)->sin6_addr, text, sizeof(text));
  }
  return text;
}

Error overloaded() {
  return {ErrorCode::kUnavailable, "the server is busy", "try again later", ""};
}

}  // namespace

EventLoop::EventLoop(const ServerConfig& config, UniqueFd listener, const TlsContext* tls, LoopHooks hooks)
    : config_(config),
      limits_{config.max_header_bytes, config.max_headers, config.max_uri_bytes},
      tls_(tls),
      hooks_(std::move(hooks)),
      listener_(std::move(listener)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wakeup_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      reserve_(open("/dev/null", O_RDONLY | O_CLOEXEC)),
      next_id_(kFirstConnectionId) {
  MHUB_CHECK(epoll_ && wakeup_);
  for (const auto& [fd, id] : {std::pair{listener_.get(), kListenerId}, std::pair{wakeup_.get(), kWakeupId}}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = id;
    MHUB_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0);
  }
}

void EventLoop::stop() {
  stopping_ = true;
  const uint64_t one = 1;
  [[maybe_unused]] const auto n = write(wakeup_.get(), &one, sizeof(one));
}

void EventLoop::give_back(std::unique_ptr<Connection> connection) {
  {
    std::lock_guard lock(mutex_);
    returned_.push_back(std::move(connection));
  }
  const uint64_t one = 1;
  [[maybe_unused]] const auto n = write(wakeup_.get(), &one, sizeof(one));
}

void EventLoop::run() {
  std::array<epoll_event, 128> events;
  auto next_tick = Clock::now();
  while (!stopping_) {
    const bool timed = !connections_.empty() || accept_again_ != Clock::time_point::min();
    const int n = epoll_wait(epoll_.get(), events.data(), events.size(), timed ? static_cast<int>(kTick.count()) : -1);
    for (int i = 0; i < n && !stopping_; ++i) {
      const uint64_t id = events[static_cast<size_t>(i)].data.u64;
      if (id == kListenerId) {
        accept_all();
      } else if (id == kWakeupId) {
        uint64_t count;
        [[maybe_unused]] const auto bytes = read(wakeup_.get(), &count, sizeof(count));
        take_returned();
      } else {
        on_event(id, events[static_cast<size_t>(i)].events);
      }
    }
    if (const auto now = Clock::now(); now >= next_tick) {
      on_tick(now);
      next_tick = now + kTick;
    }
  }
  listener_.reset();
  connections_.clear();
}

void EventLoop::accept_all() {
  for (;;) {
    sockaddr_storage address{};
    socklen_t length = sizeof(address);
    UniqueFd fd(accept4(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      admit(std::move(fd), address_text(address));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      shed_with_reserve();
      return pause_accepting(Clock::now() + kTick);
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return;
    }
  }
}

void EventLoop::admit(UniqueFd fd, std::string address) {
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const bool full = num_connections_ >= config_.max_connections && !evict_one();
  std::unique_ptr<Channel> channel = tls_ ? tls_->accept(std::move(fd)) : std::make_unique<PlainChannel>(std::move(fd));
  if (!channel) return;
  auto connection =
      std::make_unique<Connection>(std::move(channel), std::move(address), limits_, config_.max_body_bytes, next_id_++);
  Connection& added = *connection;
  epoll_event event{};
  event.data.u64 = added.id;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, added.fd(), &event) != 0) return;
  ++num_connections_;
  connections_.emplace(added.id, std::move(connection));
  if (full) {  // lives over the limit for the moment that its answer takes
    refuse(added, overloaded(), false);
    if (send_out(added) != Sent::kAll) return drop(added);
    added.channel->end_output();
    return drop(added);
  }
  step(added);
}

// Out of descriptors: the reserved one is given up for a moment to answer and close one waiting connection.
void EventLoop::shed_with_reserve() {
  if (evict_one()) return;
  reserve_.reset();
  if (UniqueFd fd{accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)}; fd) {
    if (tls_) return reserve_.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));  // no time for a handshake
    BufferSink sink(fd.get());
    write_response(hooks_.refusal(overloaded(), {}, {}), {.keep_alive = false}, sink);
    const std::string bytes = sink.take();
    send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  reserve_.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

// Makes room: the connection that has been idle longest, else the slowest sender of a header.
bool EventLoop::evict_one() {
  const auto now = Clock::now();
  Connection* victim = nullptr;
  bool victim_is_idle = false;
  for (const auto& [id, connection] : connections_) {
    if (connection->phase != Connection::Phase::kReading || connection->reader.in_body()) continue;
    const bool is_idle = connection->reader.idle() && connection->requests > 0;
    if (!is_idle && now - connection->since < kEvictableHeadAge) continue;
    if (victim == nullptr || is_idle > victim_is_idle ||
        (is_idle == victim_is_idle && connection->since < victim->since)) {
      victim = connection.get();
      victim_is_idle = is_idle;
    }
  }
  if (victim == nullptr) return false;
  drop(*victim);
  return true;
}

void EventLoop::pause_accepting(Clock::time_point until) {
  accept_again_ = until;
  epoll_event event{};
  event.events = until == Clock::time_point::min() ? static_cast<uint32_t>(EPOLLIN) : 0u;
  event.data.u64 = kListenerId;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listener_.get(), &event);
}

void EventLoop::take_returned() {
  std::vector<std::unique_ptr<Connection>> returned;
  {
    std::lock_guard lock(mutex_);
    returned.swap(returned_);
  }
  for (auto& connection : returned) {
    Connection& back = *connection;
    epoll_event event{};
    event.data.u64 = back.id;
    if (back.broken || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, back.fd(), &event) != 0) {
      --num_connections_;
      continue;
    }
    connections_.emplace(back.id, std::move(connection));
    back.phase = Connection::Phase::kFlushing;
    back.since = Clock::now();
    step(back);
  }
}

void EventLoop::on_event(uint64_t id, uint32_t events) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  if (connection.phase == Connection::Phase::kFlushing) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return drop(connection);
    return step(connection);
  }
  if (read_some(connection)) step(connection);
}

void EventLoop::on_tick(Clock::time_point now) {
  if (accept_again_ != Clock::time_point::min() && now >= accept_again_) pause_accepting(Clock::time_point::min());
  std::vector<Connection*> late;
  for (const auto& [id, connection] : connections_) {
    if (now >= connection->deadline) late.push_back(connection.get());
  }
  for (Connection* connection : late) {
    if (connection->phase == Connection::Phase::kReading && !connection->reader.idle()) {
      refuse(*connection, {ErrorCode::kRequestTimeout, "the request came too slowly", "", ""}, false);
      step(*connection);
    } else {
      drop(*connection);
    }
  }
}

bool EventLoop::read_some(Connection& connection) {
  char buffer[kReadBytes];
  const ssize_t n = connection.channel->receive(buffer);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return true;
  if (n <= 0 && connection.phase == Connection::Phase::kLingering) return drop(connection), false;
  if (n < 0) return drop(connection), false;
  if (n == 0) {
    connection.peer_closed = true;
  } else if (connection.phase == Connection::Phase::kLingering) {
    connection.lingered_bytes += static_cast<size_t>(n);
    if (connection.lingered_bytes > kLingerBytes) return drop(connection), false;
  } else {
    if (connection.reader.idle() && connection.requests > 0) connection.since = Clock::now();
    connection.reader.append({buffer, static_cast<size_t>(n)});
  }
  return true;
}

void EventLoop::step(Connection& connection) {
  for (;;) {
    if (connection.phase == Connection::Phase::kLingering) return;
    if (connection.phase == Connection::Phase::kFlushing) {
      switch (send_out(connection)) {
        case Sent::kFailed:
          return drop(connection);
        case Sent::kBlocked:
          return wait_for(connection, EPOLLOUT, Clock::now() + std::chrono::seconds(config_.write_stall_seconds));
        case Sent::kAll:
          if (connection.close_after_flush) return linger(connection);
          connection.phase = Connection::Phase::kReading;
      }
    }
    switch (connection.reader.advance()) {
      case RequestReader::State::kHead:
      case RequestReader::State::kBody:
        if (connection.peer_closed) return drop(connection);
        return wait_for(connection, EPOLLIN | EPOLLRDHUP, reading_deadline(connection));
      case RequestReader::State::kHeadComplete:
        if (!begin_request(connection)) break;
        continue;
      case RequestReader::State::kComplete:
        if (dispatch(connection)) return;  // with a worker now: not ours to touch
        break;
      case RequestReader::State::kFailed:
        refuse(connection, connection.reader.error(), false);
        break;
    }
  }
}

// The head is complete: route, authorize and ask for the body, or refuse before a byte of it is read.
bool EventLoop::begin_request(Connection& connection) {
  Verdict verdict = hooks_.judge(connection.head_request());
  connection.match = std::move(verdict.match);
  if (verdict.refusal) {
    refuse(connection, *verdict.refusal, !connection.reader.has_unread_body());
    return false;
  }
  connection.body_since = Clock::now();
  connection.reader.begin_body();
  if (connection.reader.waits_for_continue()) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    connection.channel->send(kContinue, false);
  }
  return true;
}

bool EventLoop::dispatch(Connection& connection) {
  Exchange exchange;
  const RequestHead& head = connection.reader.head();
  exchange.framing = {head.method == "HEAD", head.http_1_0,
                      head.keep_alive && connection.requests + 1 < kMaxRequestsPerConnection,
                      config_.idle_timeout_seconds};
  exchange.route = connection.match.route;
  exchange.request = connection.reader.take();
  exchange.request.remote_address = connection.remote_address;
  exchange.request.params = std::move(connection.match.params);
  ++connection.requests;
  const auto held = connections_.find(connection.id);
  exchange.connection = std::move(held->second);
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, connection.fd(), nullptr);
  if (hooks_.dispatch(std::move(exchange))) {
    connections_.erase(held);
    return true;
  }
  held->second = std::move(exchange.connection);
  epoll_event event{};
  event.data.u64 = connection.id;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connection.fd(), &event);
  refuse(connection, overloaded(), false);
  return false;
}

void EventLoop::refuse(Connection& connection, const Error& error, bool keep_alive) {
  const RequestHead& head = connection.reader.head();
  const ResponseFraming framing{head.method == "HEAD", head.http_1_0,
                                keep_alive && head.keep_alive && connection.requests + 1 < kMaxRequestsPerConnection,
                                config_.idle_timeout_seconds};
  BufferSink sink(connection.fd());
  connection.close_after_flush =
      !write_response(hooks_.refusal(error, connection.head_request(), connection.match), framing, sink);
  connection.out = sink.take();
  connection.out_sent = 0;
  connection.phase = Connection::Phase::kFlushing;
  connection.since = Clock::now();
  ++connection.requests;
  if (!connection.close_after_flush) connection.reader.take();
}

EventLoop::Sent EventLoop::send_out(Connection& connection) {
  while (connection.out_sent < connection.out.size()) {
    const ssize_t n = connection.channel->send(std::string_view(connection.out).substr(connection.out_sent), false);
    if (n >= 0) {
      connection.out_sent += static_cast<size_t>(n);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return Sent::kBlocked;
    } else if (errno != EINTR) {
      return Sent::kFailed;
    }
  }
  connection.out.clear();
  connection.out_sent = 0;
  return Sent::kAll;
}

// Closing with unread input would reset the connection and take the answer with it.
void EventLoop::linger(Connection& connection) {
  if (connection.peer_closed || !connection.channel->end_output()) return drop(connection);
  connection.phase = Connection::Phase::kLingering;
  wait_for(connection, EPOLLIN, Clock::now() + kLingerTime);
}

void EventLoop::wait_for(Connection& connection, uint32_t events, Clock::time_point deadline) {
  connection.deadline = deadline;
  epoll_event event{};
  event.events = events | (connection.channel->waits_to_write() ? static_cast<uint32_t>(EPOLLOUT) : 0u);
  event.data.u64 = connection.id;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.fd(), &event);
}

Clock::time_point EventLoop::reading_deadline(Connection& connection) const {
  const auto header_time = std::chrono::seconds(config_.header_timeout_seconds);
  if (connection.reader.in_body()) {
    const auto earned = static_cast<double>(connection.reader.body_bytes()) / config_.body_min_bytes_per_second;
    return connection.body_since + header_time +
           std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(earned));
  }
  if (connection.reader.idle() && connection.requests > 0) {
    return connection.since + std::chrono::seconds(config_.idle_timeout_seconds);
  }
  return connection.since + header_time;
}

void EventLoop::drop(Connection& connection) {
  --num_connections_;
  connections_.erase(connection.id);
}

}  // namespace mhub::httpd
