// SPDX-License-Identifier: Apache-2.0
#include "thread_pool.h"

#include <immintrin.h>
#include <pthread.h>
#include <sched.h>

#include <chrono>

namespace mhub::kernels::cpu {
namespace {

constexpr auto kSpin = std::chrono::microseconds(60);

void pin(std::thread& thread, int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(core), &set);
  pthread_setaffinity_np(thread.native_handle(), sizeof(set), &set);  // refusal only costs speed
}

}  // namespace

ThreadPool::ThreadPool(int num_threads, std::span<const int> cores) {
  for (int i = 1; i < num_threads; ++i) {
    workers_.emplace_back([this, i] { worker_loop(i); });
    if (static_cast<size_t>(num_threads) <= cores.size()) pin(workers_.back(), cores[static_cast<size_t>(i)]);
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run_job(const Job& job) {
  if (workers_.empty() || job.chunks <= 1) {
    for (int64_t chunk = 0; chunk < job.chunks; ++chunk) job.call(job.context, chunk, 0);
    return;
  }
  job_ = job;
  next_.store(0, std::memory_order_relaxed);
  gate_.store(kOpen, std::memory_order_release);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  work(job, 0);
  uint32_t inside = gate_.fetch_and(~kOpen, std::memory_order_acquire) & ~kOpen;
  for (int spins = 0; inside != 0; ++spins) {
    if (spins < 4096) {
      _mm_pause();
    } else {
      sched_yield();
    }
    inside = gate_.load(std::memory_order_acquire);
  }
}

void ThreadPool::work(const Job& job, int thread) {
  for (;;) {
    const int64_t chunk = next_.fetch_add(1, std::memory_order_relaxed);
    if (chunk >= job.chunks) return;
    job.call(job.context, chunk, thread);
  }
}

uint32_t ThreadPool::wait_for_change(uint32_t seen) {
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 64; ++i) {
      const uint32_t now = epoch_.load(std::memory_order_acquire);
      if (now != seen) return now;
      _mm_pause();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  epoch_.wait(seen, std::memory_order_acquire);
  return epoch_.load(std::memory_order_acquire);
}

void ThreadPool::worker_loop(int thread) {
  uint32_t seen = 0;
  for (;;) {
    seen = wait_for_change(seen);
    if (stop_.load(std::memory_order_relaxed)) return;
    uint32_t gate = gate_.load(std::memory_order_relaxed);
    while ((gate & kOpen) != 0 && !gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acquire)) {
    }
    if ((gate & kOpen) == 0) continue;
    work(job_, thread);
    gate_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace mhub::kernels::cpu
