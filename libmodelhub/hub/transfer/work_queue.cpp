// SPDX-License-Identifier: Apache-2.0
#include "transfer/work_queue.h"

#include <utility>

namespace mhub::hub {

WorkQueue::WorkQueue(int num_threads, std::function<void()> wake_owner) : wake_owner_(std::move(wake_owner)) {
  for (int i = 0; i < num_threads; ++i) threads_.emplace_back([this] { run(); });
}

WorkQueue::~WorkQueue() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    waiting_.clear();
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkQueue::post(std::function<void()> work, std::function<void()> done) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({std::move(work), std::move(done)});
  }
  changed_.notify_one();
}

void WorkQueue::drain() {
  std::vector<std::function<void()>> finished;
  {
    const std::lock_guard lock(mutex_);
    finished.swap(finished_);
  }
  for (const auto& done : finished) done();
}

void WorkQueue::run() {
  for (;;) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_) return;
      item = std::move(waiting_.front());
      waiting_.pop_front();
    }
    item.work();
    {
      const std::lock_guard lock(mutex_);
      finished_.push_back(std::move(item.done));
    }
    wake_owner_();
  }
}

}  // namespace mhub::hub
