// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <thread>
#include <type_traits>
#include <vector>

namespace mhub::kernels::cpu {

// Fork-join over chunks handed out one by one. The caller works too and waits only for workers that have entered the
// job, so a worker that the operating system has not scheduled delays nobody. Idle workers spin briefly, then sleep.
class ThreadPool {
 public:
  // num_threads includes the caller. Worker i (1..) is pinned to cores[i] where there are that many cores.
  ThreadPool(int num_threads, std::span<const int> cores);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls fn(chunk, thread) once for every chunk in [0, chunks); fn must not throw and must not call run().
  template <class F>
  void run(int64_t chunks, F&& fn) {
    using Fn = std::remove_reference_t<F>;
    Job job;
    job.call = [](void* context, int64_t chunk, int thread) { (*static_cast<Fn*>(context))(chunk, thread); };
    job.context = const_cast<void*>(static_cast<const void*>(&fn));
    job.chunks = chunks;
    run_job(job);
  }

 private:
  struct Job {
    void (*call)(void* context, int64_t chunk, int thread) = nullptr;
    void* context = nullptr;
    int64_t chunks = 0;
  };
  static constexpr uint32_t kOpen = 1u << 31;

  void run_job(const Job& job);
  void work(const Job& job, int thread);
  void worker_loop(int thread);
  uint32_t wait_for_change(uint32_t seen);

  Job job_;                                     // written only while the gate is closed and empty
  alignas(64) std::atomic<uint32_t> epoch_{0};  // one step per job, and one to stop
  alignas(64) std::atomic<uint32_t> gate_{0};   // kOpen while a job may be entered, plus the number of workers inside
  alignas(64) std::atomic<int64_t> next_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace mhub::kernels::cpu
