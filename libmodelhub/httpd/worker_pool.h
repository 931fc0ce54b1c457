// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "connection.h"

namespace mhub::httpd {

// Threads that answer requests, started when needed, at most `max_threads`; at most as many requests wait. Each request
// keeps its thread until its response is written.
class WorkerPool {
 public:
  using Answer = std::function<void(Exchange&)>;
  using GiveBack = std::function<void(std::unique_ptr<Connection>)>;
  // `answer` writes the response on a thread of the pool; `give_back` then takes the connection.
  WorkerPool(int max_threads, Answer answer, GiveBack give_back);
  ~WorkerPool();  // stop(now)
  // False (and `exchange` untouched) when every thread is busy and the queue is full, or after stop().
  bool submit(Exchange&& exchange);
  // Refuses new requests, waits until `deadline` for the running ones, then shuts their sockets and waits for the
  // threads.
  void stop(Clock::time_point deadline);

 private:
  void run();
  const int max_threads_;
  const Answer answer_;
  const GiveBack give_back_;
  std::mutex mutex_;
  // guarded by mutex_
  std::condition_variable work_, drained_;
  std::deque<Exchange> queue_;
  std::set<int> busy_fds_;  // open as long as they are here: stop() shuts them
  std::vector<std::thread> threads_;
  int idle_ = 0;
  bool stopping_ = false;
};

}  // namespace mhub::httpd
