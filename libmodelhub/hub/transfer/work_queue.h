// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace mhub::hub {

// Threads for what would hold up the loop thread (hashing, syncing). `work` runs on one of them, then `done` on the
// thread that calls drain(). The destructor waits for running work and drops the rest.
class WorkQueue {
 public:
  WorkQueue(int num_threads, std::function<void()> wake_owner);
  ~WorkQueue();
  void post(std::function<void()> work, std::function<void()> done);
  void drain();

 private:
  struct Item {
    std::function<void()> work, done;
  };
  void run();

  const std::function<void()> wake_owner_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> waiting_;                     // guarded by mutex_
  std::vector<std::function<void()>> finished_;  // guarded by mutex_
  bool stopping_ = false;                        // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace mhub::hub
