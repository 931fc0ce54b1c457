// SPDX-License-Identifier: Apache-2.0
#include "cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

namespace mhub::kernels::cpu {
namespace {

class ThreadPoolTest : public ::testing::TestWithParam<int> {};

TEST_P(ThreadPoolTest, EveryChunkRunsOnceInEveryJob) {
  ThreadPool pool(GetParam(), {});
  EXPECT_EQ(pool.num_threads(), GetParam());
  std::vector<int> counts(257);
  for (int job = 1; job <= 2000; ++job) {
    const int64_t chunks = job % 258;
    std::fill(counts.begin(), counts.end(), 0);
    pool.run(chunks, [&](int64_t chunk, int thread) {
      ++counts[static_cast<size_t>(chunk)];
      ASSERT_LT(thread, pool.num_threads());
    });
    for (int64_t i = 0; i < 257; ++i) ASSERT_EQ(counts[static_cast<size_t>(i)], i < chunks ? 1 : 0) << job;
  }
}

TEST_P(ThreadPoolTest, WorksAfterItsWorkersFellAsleep) {
  ThreadPool pool(GetParam(), {});
  for (int job = 0; job < 5; ++job) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int> sum{0};
    pool.run(100, [&](int64_t chunk, int) { sum += static_cast<int>(chunk); });
    EXPECT_EQ(sum, 4950);
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, ::testing::Values(1, 2, 3, 8));

TEST(ThreadPool, WorkersTakePartInLongJobs) {
  ThreadPool pool(2, {});
  std::atomic<int> by_worker{0};
  for (int job = 0; job < 100 && by_worker == 0; ++job) {
    pool.run(8, [&](int64_t, int thread) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      by_worker += thread;
    });
  }
  EXPECT_GT(by_worker, 0);
}

}  // namespace
}  // namespace mhub::kernels::cpu
