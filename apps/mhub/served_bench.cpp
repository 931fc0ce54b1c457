// SPDX-License-Identifier: Apache-2.0
#include "served_bench.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "http_stream.h"
#include "mhub/base/json.h"

namespace mhub::apps {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kWaitMs = 200;  // how often a stop is looked for

double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct Address {
  sockaddr_in socket{};
  std::string host;
};

Result<Address> parse_url(const std::string& url) {
  const auto bad = [&] {
    return Error{ErrorCode::kUsage, fmt::format("\"{}\" is not the address of a server", url),
                 "write http://HOST:PORT with a numeric IPv4 host or localhost", "model"};
  };
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return bad();
  std::string_view rest = std::string_view(url).substr(kScheme.size());
  while (rest.ends_with('/')) rest.remove_suffix(1);
  Address address;
  address.host = rest;
  const size_t colon = rest.find(':');
  const std::string_view port_text = colon == std::string_view::npos ? "80" : rest.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (error != std::errc() || end != port_text.data() + port_text.size() || port == 0) return bad();
  const std::string name(rest.substr(0, colon));
  address.socket.sin_family = AF_INET;
  address.socket.sin_port = htons(port);
  if (inet_pton(AF_INET, name == "localhost" ? "127.0.0.1" : name.c_str(), &address.socket.sin_addr) != 1) return bad();
  return address;
}

Error unreachable(const ServedLoad& load, const char* what) {
  return {ErrorCode::kNetwork, fmt::format("{} of {} failed: {}", what, load.url, std::strerror(errno)),
          "is `mhub serve` running there, and does it take so many connections?", ""};
}

Result<Descriptor> connect_to(const ServedLoad& load, const Address& address) {
  Descriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (fd.get() < 0 || setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
      connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.socket), sizeof(address.socket)) != 0)
    return unreachable(load, "a connection");
  return fd;
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

std::string head_of(const ServedLoad& load, const Address& address, const char* request) {
  std::string head = fmt::format("{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", request, address.host);
  if (!load.api_key.empty()) head += fmt::format("Authorization: Bearer {}\r\n", load.api_key);
  return head;
}

Result<std::string> first_model(const ServedLoad& load, const Address& address) {
  MHUB_TRY(const auto fd, connect_to(load, address));
  if (!send_all(fd.get(), head_of(load, address, "GET /v1/models") + "\r\n")) return unreachable(load, "a request");
  HttpStream stream;
  std::array<char, 4096> buffer;
  while (!stream.done() && !stream.bad()) {
    const ssize_t got = recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) break;
    stream.feed({buffer.data(), static_cast<size_t>(got)}, [](std::string_view) {});
  }
  const auto list = parse_json(stream.rest());
  const auto* data = list && list->is_object() && list->contains("data") ? &(*list)["data"] : nullptr;
  if (stream.status() != 200 || !data || !data->is_array() || data->empty() || !(*data)[0].is_object() ||
      !(*data)[0].contains("id") || !(*data)[0]["id"].is_string()) {
    return Error{ErrorCode::kNetwork, fmt::format("{} lists no model (status {})", load.url, stream.status()),
                 "give --api-key where the server wants one", ""};
  }
  return (*data)[0]["id"].get<std::string>();
}

std::string body_of(const ServedLoad& load, const std::string& model, int64_t request) {
  std::mt19937_64 random(load.seed * 1'000'003 + static_cast<uint64_t>(request));
  Json body{{"model", model},
            {"stream", true},
            {"ignore_eos", true},
            {"temperature", 0},
            {"max_tokens", load.output_tokens},
            {"stream_options", {{"include_usage", true}}},
            {"prompt", Json::array()}};
  for (int64_t i = 0; i < load.prompt_tokens; ++i)
    body["prompt"].push_back(random() % static_cast<uint64_t>(load.vocab));
  return dump_json(body);
}

// One request on its connection.
struct Exchange {
  Descriptor fd;
  HttpStream stream;
  Clock::time_point sent, last;
  int64_t events = 0, tokens = -1;  // tokens: of the usage that ends the stream
};

int64_t completion_tokens(std::string_view event) {
  constexpr std::string_view kField = "\"completion_tokens\":";
  const size_t at = event.rfind(kField);
  int64_t tokens = -1;
  if (at != std::string_view::npos)
    std::from_chars(event.data() + at + kField.size(), event.data() + event.size(), tokens);
  return tokens;
}

Percentiles percentiles(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto at = [&](double q) {
    return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1) + 0.5)];
  };
  return {at(0.5), at(0.9), at(0.99)};
}

class LoadGenerator {
 public:
  LoadGenerator(const ServedLoad& load, Address address, const std::string& model)
      : load_(load), address_(std::move(address)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    for (int64_t i = 0; i < load.requests; ++i) bodies_.push_back(body_of(load, model, i));
    times_.model = model;
  }

  Result<ServedTimes> run(std::stop_token stop) {
    const auto begin = Clock::now();
    while (open_ < load_.concurrency && next_ < load_.requests) MHUB_CHECK_OK(start());
    std::array<epoll_event, 256> ready;
    while (open_ > 0) {
      if (stop.stop_requested()) return Error{ErrorCode::kInterrupted, "interrupted", "", ""};
      const int count = epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), kWaitMs);
      for (int i = 0; i < count; ++i) {
        if (!read(*static_cast<Exchange*>(ready[static_cast<size_t>(i)].data.ptr))) continue;
        --open_;
        if (next_ < load_.requests) MHUB_CHECK_OK(start());
      }
    }
    times_.seconds = seconds_between(begin, Clock::now());
    times_.first_token = percentiles(std::move(first_));
    times_.between_tokens = percentiles(std::move(between_));
    return times_;
  }

 private:
  Result<void> start() {
    auto exchange = std::make_unique<Exchange>();
    MHUB_TRY(exchange->fd, connect_to(load_, address_));
    const std::string& body = bodies_[static_cast<size_t>(next_++)];
    const std::string request =
        head_of(load_, address_, "POST /v1/completions") +
        fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.size()) + body;
    exchange->sent = exchange->last = Clock::now();
    if (!send_all(exchange->fd.get(), request)) return unreachable(load_, "a request");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = exchange.get();
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, exchange->fd.get(), &event) != 0) return unreachable(load_, "a poll");
    exchanges_.push_back(std::move(exchange));
    ++open_;
    return {};
  }

  // True when the exchange is over.
  bool read(Exchange& exchange) {
    std::array<char, 65536> buffer;
    const ssize_t got = recv(exchange.fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got > 0)
      exchange.stream.feed({buffer.data(), static_cast<size_t>(got)},
                           [&](std::string_view event) { take(exchange, event); });
    if (got > 0 && !exchange.stream.done() && !exchange.stream.bad()) return false;
    if (exchange.tokens > 0)
      times_.output_tokens += exchange.tokens;
    else
      ++times_.failed;
    exchange.fd = Descriptor();  // leaves the epoll set
    return true;
  }

  void take(Exchange& exchange, std::string_view event) {
    if (event == "[DONE]") return;
    if (const int64_t tokens = completion_tokens(event); tokens >= 0) exchange.tokens = tokens;
    if (event.find("\"choices\":[]") != std::string_view::npos) return;  // the usage alone
    const auto now = Clock::now();
    (exchange.events++ == 0 ? first_ : between_).push_back(seconds_between(exchange.last, now));
    exchange.last = now;
  }

  const ServedLoad& load_;
  const Address address_;
  Descriptor epoll_;
  std::vector<std::string> bodies_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;
  int64_t next_ = 0, open_ = 0;
  std::vector<double> first_, between_;
  ServedTimes times_;
};

}  // namespace

Result<ServedTimes> measure_served(const ServedLoad& load, std::stop_token stop) {
  MHUB_TRY(Address address, parse_url(load.url));
  std::string model = load.model;
  if (model.empty()) {
    MHUB_TRY(model, first_model(load, address));
  }
  return LoadGenerator(load, std::move(address), model).run(std::move(stop));
}

}  // namespace mhub::apps
