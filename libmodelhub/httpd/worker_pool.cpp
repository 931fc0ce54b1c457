// SPDX-License-Identifier: Apache-2.0
#include "worker_pool.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <system_error>

namespace mhub::httpd {

WorkerPool::WorkerPool(int max_threads, Answer answer, GiveBack give_back)
    : max_threads_(max_threads), answer_(std::move(answer)), give_back_(std::move(give_back)) {}

WorkerPool::~WorkerPool() {
  stop(Clock::now());
}

bool WorkerPool::submit(Exchange&& exchange) {
  std::lock_guard lock(mutex_);
  if (stopping_) return false;
  const auto num_threads = static_cast<int>(threads_.size());
  if (static_cast<int>(queue_.size()) >= idle_ && num_threads < max_threads_) {
    try {
      threads_.emplace_back([this] { run(); });
    } catch (const std::system_error& e) {  // thread limit of the machine: go on with what there is
      spdlog::warn("httpd: cannot start a worker thread threads={} error={}", num_threads, e.what());
      if (num_threads == 0) return false;
    }
  }
  if (static_cast<int>(queue_.size()) >= idle_ + max_threads_) return false;
  queue_.push_back(std::move(exchange));
  work_.notify_one();
  return true;
}

void WorkerPool::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    work_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    --idle_;
    if (queue_.empty()) return;
    Exchange exchange = std::move(queue_.front());
    queue_.pop_front();
    const int fd = exchange.connection->fd();
    busy_fds_.insert(fd);
    lock.unlock();
    answer_(exchange);
    lock.lock();
    busy_fds_.erase(fd);
    if (busy_fds_.empty() && queue_.empty()) drained_.notify_all();
    lock.unlock();
    give_back_(std::move(exchange.connection));
    lock.lock();
  }
}

void WorkerPool::stop(Clock::time_point deadline) {
  std::vector<std::thread> threads;
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    work_.notify_all();
    drained_.wait_until(lock, deadline, [this] { return busy_fds_.empty() && queue_.empty(); });
    queue_.clear();
    for (const int fd : busy_fds_) shutdown(fd, SHUT_RDWR);
    threads.swap(threads_);
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace mhub::httpd
