// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "connection.h"
#include "listener.h"
#include "tls.h"

namespace mhub::httpd {

// What a request head is worth: a route, or the error that refuses it.
struct Verdict {
  Router::Match match;
  std::optional<Error> refusal;
};

struct LoopHooks {
  std::function<Verdict(const Request& head)> judge;
  // False: overloaded, `exchange` is untouched.
  std::function<bool(Exchange&& exchange)> dispatch;
  std::function<Response(const Error&, const Request&, const Router::Match&)> refusal;
};

// The only thread that accepts, reads requests, enforces deadlines and closes. It never waits for a client or a worker.
class EventLoop {
 public:
  // `tls`: nullptr for plain connections.
  EventLoop(const ServerConfig& config, UniqueFd listener, const TlsContext* tls, LoopHooks hooks);
  void run();   // until stop(); closes every connection it holds
  void stop();  // any thread
  // Takes a connection back from a worker: sends `out`, then reads the next request or closes. Any thread.
  void give_back(std::unique_ptr<Connection> connection);

 private:
  enum class Sent { kAll, kBlocked, kFailed };
  void accept_all();
  void admit(UniqueFd fd, std::string address);
  void shed_with_reserve();
  bool evict_one();
  void take_returned();
  void on_event(uint64_t id, uint32_t events);
  void on_tick(Clock::time_point now);
  // Runs the connection until it needs an event, is with a worker or is gone.
  void step(Connection& connection);
  bool read_some(Connection& connection);  // false: the connection is gone
  bool begin_request(Connection& connection);
  bool dispatch(Connection& connection);  // false: refused instead
  void refuse(Connection& connection, const Error& error, bool keep_alive);
  Sent send_out(Connection& connection);
  void linger(Connection& connection);
  void wait_for(Connection& connection, uint32_t events, Clock::time_point deadline);
  Clock::time_point reading_deadline(Connection& connection) const;
  void drop(Connection& connection);
  void pause_accepting(Clock::time_point until);

  const ServerConfig& config_;
  const HeadLimits limits_;
  const TlsContext* const tls_;
  const LoopHooks hooks_;
  UniqueFd listener_, epoll_, wakeup_, reserve_;
  std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;  // those not with a worker
  int num_connections_ = 0;                                                // all
  uint64_t next_id_;
  Clock::time_point accept_again_ = Clock::time_point::min();  // min: accepting
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> returned_;  // guarded by mutex_
};

}  // namespace mhub::httpd
