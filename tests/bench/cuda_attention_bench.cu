// SPDX-License-Identifier: Apache-2.0
// Attention kernels alone, in CUDA graphs, over caches too large for L2: one JSON line per case with microseconds per
// layer, TB/s of keys and values or TFLOP/s, and the share of this run's own copy bandwidth.
//   cuda_attention_bench [decode|prefill|plan] [overlap]
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "cuda/attention/attention.h"
#include "kernels/cuda/device_array.h"

namespace {

using namespace mhub::kernels::cuda;

constexpr size_t kCacheBytes = 400u << 20;  // rotated through, several times the L2
constexpr int kReplays = 15;

// +-[0.5, 2) in bfloat16; a block of random numbers over and over, out of step with any cache block.
void fill_random(const DeviceArray<uint16_t>& to) {
  std::vector<uint16_t> random((8u << 20) + 1);
  uint64_t state = 1;
  for (uint16_t& x : random) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    x = static_cast<uint16_t>((state >> 33 & 0x80ff) + 0x3f00);
  }
  const size_t count = to.bytes() / sizeof(uint16_t);
  const size_t first = std::min(count, random.size());
  check(cudaMemcpy(to.get(), random.data(), first * 2, cudaMemcpyHostToDevice));
  for (size_t done = first; done < count; done += std::min(done, count - done))
    check(cudaMemcpy(to.get() + done, to.get(), std::min(done, count - done) * 2, cudaMemcpyDeviceToDevice));
}

class Timer {
 public:
  Timer() {
    check(cudaStreamCreate(&stream_));
    check(cudaEventCreate(&begin_));
    check(cudaEventCreate(&end_));
  }
  // Median microseconds of what `launch` enqueues on a stream, replayed as a graph.
  template <typename Launch>
  double median_us(const Launch& launch) {
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
    launch(stream_);
    check(cudaStreamEndCapture(stream_, &graph));
    check(cudaGraphInstantiate(&exec, graph, 0));
    std::vector<double> times;
    for (int i = 0; i < kReplays + 2; ++i) {
      check(cudaEventRecord(begin_, stream_));
      check(cudaGraphLaunch(exec, stream_));
      check(cudaEventRecord(end_, stream_));
      check(cudaEventSynchronize(end_));
      float ms = 0;
      check(cudaEventElapsedTime(&ms, begin_, end_));
      if (i >= 2) times.push_back(1e3 * static_cast<double>(ms));
    }
    check(cudaGraphExecDestroy(exec));
    check(cudaGraphDestroy(graph));
    std::nth_element(times.begin(), times.begin() + kReplays / 2, times.end());
    return times[kReplays / 2];
  }

 private:
  cudaStream_t stream_{};
  cudaEvent_t begin_{}, end_{};
};

double copy_bandwidth() {
  const size_t bytes = size_t{4} << 30;
  const DeviceArray<char> a(bytes), b(bytes);
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin));
  check(cudaEventCreate(&end));
  float best = 0;
  for (int i = 0; i < 10; ++i) {
    check(cudaEventRecord(begin));
    check(cudaMemcpyAsync(a.get(), b.get(), bytes, cudaMemcpyDeviceToDevice));
    check(cudaEventRecord(end));
    check(cudaEventSynchronize(end));
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin, end));
    if (i == 0 || ms < best) best = ms;
  }
  check(cudaEventDestroy(begin));
  check(cudaEventDestroy(end));
  return 2.0 * static_cast<double>(bytes) / static_cast<double>(best) / 1e9;
}

struct Batch {
  std::string name;
  std::vector<int> q_lens, lens;
  int window = 0;
};

class Run {
 public:
  Run(const AttentionShape& shape, const Batch& batch, bool overlap) : shape_(shape), options_{batch.window, false} {
    std::vector<int32_t> cu{0}, tables;
    int blocks = 1, tokens = 0, longest = 1;
    for (size_t i = 0; i < batch.lens.size(); ++i) {
      tokens += batch.q_lens[i];
      cu.push_back(tokens);
      blocks += (batch.lens[i] + shape.block_size - 1) / shape.block_size;
      longest = std::max(longest, batch.lens[i]);
      const double q = batch.q_lens[i], past = batch.lens[i] - q;
      pairs_ += q * past + q * (q + 1) / 2;
      kv_tokens_ += batch.window > 0 ? std::min(batch.lens[i], batch.window) : batch.lens[i];
    }
    const int max_blocks = (longest + shape.block_size - 1) / shape.block_size;
    std::vector<int32_t> order(static_cast<size_t>(blocks));
    for (int i = 0; i < blocks; ++i) order[static_cast<size_t>(i)] = i;
    std::shuffle(order.begin(), order.end(), std::mt19937(1));
    for (size_t i = 0, next = 0; i < batch.lens.size(); ++i) {
      const int own = (batch.lens[i] + shape.block_size - 1) / shape.block_size;
      for (int b = 0; b < max_blocks; ++b) tables.push_back(b < own ? order[next++] : 0);
    }
    layer_elements_ =
        static_cast<size_t>(blocks) * 2 * static_cast<size_t>(shape.num_kv_heads * shape.block_size * shape.head_dim);
    layers_ = static_cast<int>(std::clamp<size_t>(kCacheBytes / (2 * layer_elements_) + 1, 2, 64));
    const auto row = static_cast<size_t>(shape.num_q_heads * shape.head_dim);
    kv_ = std::make_unique<DeviceArray<uint16_t>>(layer_elements_ * static_cast<size_t>(layers_));
    q_ = std::make_unique<DeviceArray<uint16_t>>(row * static_cast<size_t>(tokens));
    out_ = std::make_unique<DeviceArray<uint16_t>>(row * static_cast<size_t>(tokens));
    fill_random(*kv_);
    fill_random(*q_);
    cu_ = std::make_unique<DeviceArray<int32_t>>(cu);
    lens_ = std::make_unique<DeviceArray<int32_t>>(std::vector<int32_t>(batch.lens.begin(), batch.lens.end()));
    tables_ = std::make_unique<DeviceArray<int32_t>>(tables);
    const int seqs = static_cast<int>(batch.lens.size());
    check(prepare_attention(shape, {seqs, tokens}, &setup_));
    plan_ = std::make_unique<DeviceArray<char>>(setup_.plan_bytes);
    scratch_ = std::make_unique<DeviceArray<char>>(setup_.scratch_bytes);
    batch_ = {cu_->get(), lens_->get(), tables_->get(), max_blocks, seqs, tokens};
    call_.out = out_->get();
    call_.q = q_->get();
    call_.out_stride = call_.q_stride = static_cast<int64_t>(row);
    call_.scale = 0.0884f;
    call_.plan = plan_->get();
    call_.scratch = scratch_->get();
    call_.overlap_previous = overlap;
    plan(nullptr);
    check(cudaDeviceSynchronize());
  }
  int layers() const { return layers_; }
  double kv_bytes() const { return static_cast<double>(kv_tokens_) * 4.0 * shape_.num_kv_heads * shape_.head_dim; }
  double flops() const { return 4.0 * shape_.num_q_heads * shape_.head_dim * pairs_; }
  void plan(cudaStream_t stream) { check(plan_attention(setup_, batch_, options_, plan_->get(), stream)); }
  template <typename Launch>
  void every_layer(cudaStream_t stream, const Launch& launch) {
    for (int layer = 0; layer < layers_; ++layer) {
      call_.kv = kv_->get() + static_cast<size_t>(layer) * layer_elements_;
      check(launch(setup_, batch_, call_, stream));
    }
  }

 private:
  AttentionShape shape_;
  PlanOptions options_;
  int64_t kv_tokens_ = 0;
  double pairs_ = 0;
  size_t layer_elements_ = 0;
  int layers_ = 0;
  std::unique_ptr<DeviceArray<uint16_t>> kv_, q_, out_;
  std::unique_ptr<DeviceArray<int32_t>> cu_, lens_, tables_;
  std::unique_ptr<DeviceArray<char>> plan_, scratch_;
  AttentionSetup setup_;
  AttentionBatch batch_;
  AttentionCall call_;
};

Batch uniform(int batch, int q_len, int len) {
  return {std::to_string(batch) + "x" + std::to_string(q_len) + "/" + std::to_string(len),
          std::vector<int>(static_cast<size_t>(batch), q_len), std::vector<int>(static_cast<size_t>(batch), len)};
}
Batch one_long(int others, int len) {
  Batch b = uniform(others, 1, len);
  b.name = "1x1/32768+" + b.name;
  b.q_lens.push_back(1);
  b.lens.push_back(32768);
  return b;
}

void bench_decode(Timer& timer, const AttentionShape& shape, const Batch& batch, bool overlap, double copy) {
  Run run(shape, batch, overlap);
  const double us = timer.median_us([&](cudaStream_t s) { run.every_layer(s, attention_decode); }) / run.layers();
  const double rate = run.kv_bytes() / us / 1e6;
  std::printf(
      "{\"case\":\"decode\",\"heads\":\"%d/%d\",\"dim\":%d,\"block\":%d,\"batch\":\"%s\",\"window\":%d,\"overlap\":%d,"
      "\"us\":%.2f,\"tb_s\":%.3f,\"of_copy\":%.3f}\n",
      shape.num_q_heads, shape.num_kv_heads, shape.head_dim, shape.block_size, batch.name.c_str(), batch.window,
      overlap ? 1 : 0, us, rate, rate / copy);
  std::fflush(stdout);
}

void bench_prefill(Timer& timer, const AttentionShape& shape, const Batch& batch) {
  Run run(shape, batch, false);
  const double us = timer.median_us([&](cudaStream_t s) { run.every_layer(s, attention_prefill); }) / run.layers();
  std::printf(
      "{\"case\":\"prefill\",\"heads\":\"%d/%d\",\"dim\":%d,\"block\":%d,\"batch\":\"%s\",\"us\":%.1f,"
      "\"tflop_s\":%.1f}\n",
      shape.num_q_heads, shape.num_kv_heads, shape.head_dim, shape.block_size, batch.name.c_str(), us,
      run.flops() / us / 1e6);
  std::fflush(stdout);
}

void bench_plan(Timer& timer, const AttentionShape& shape, const Batch& batch) {
  Run run(shape, batch, false);
  constexpr int kPlans = 20;
  const double us = timer.median_us([&](cudaStream_t s) {
    for (int i = 0; i < kPlans; ++i) run.plan(s);
  });
  std::printf("{\"case\":\"plan\",\"batch\":\"%s\",\"us\":%.2f}\n", batch.name.c_str(), us / kPlans);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const auto wants = [&](const char* what) {
    bool any = false;
    for (int i = 1; i < argc; ++i) {
      if (std::strcmp(argv[i], what) == 0) return true;
      if (std::strcmp(argv[i], "overlap") != 0) any = true;
    }
    return !any && std::strcmp(what, "overlap") != 0;
  };
  cudaDeviceProp device{};
  if (cudaGetDeviceProperties(&device, 0) != cudaSuccess) {
    std::puts("no CUDA device");
    return 1;
  }
  Timer timer;
  const double copy = copy_bandwidth();
  std::printf("{\"device\":\"%s\",\"copy_tb_s\":%.3f}\n", device.name, copy);
  const AttentionShape llama{32, 8, 128, 16, AttentionType::kBFloat16};
  const AttentionShape qwen_small{12, 2, 128, 16, AttentionType::kBFloat16};
  const AttentionShape qwen{28, 4, 128, 16, AttentionType::kBFloat16};
  if (wants("decode")) {
    const bool overlap = wants("overlap");
    for (const auto& [batch, len] : std::vector<std::pair<int, int>>{{1, 128},
                                                                     {1, 1024},
                                                                     {1, 4096},
                                                                     {1, 32768},
                                                                     {8, 1024},
                                                                     {8, 4096},
                                                                     {32, 128},
                                                                     {32, 1024},
                                                                     {32, 4096},
                                                                     {32, 8192},
                                                                     {64, 1024},
                                                                     {128, 1024},
                                                                     {256, 128},
                                                                     {256, 1024}})
      bench_decode(timer, llama, uniform(batch, 1, len), overlap, copy);
    bench_decode(timer, llama, one_long(63, 128), overlap, copy);
    bench_decode(timer, llama, one_long(63, 1024), overlap, copy);
    bench_decode(timer, llama, uniform(1, 1, 1024), true, copy);
    bench_decode(timer, llama, uniform(64, 1, 1024), overlap, copy);
    bench_decode(timer, qwen_small, uniform(1, 1, 1024), overlap, copy);
    bench_decode(timer, qwen_small, uniform(64, 1, 1024), overlap, copy);
    bench_decode(timer, qwen, uniform(1, 1, 1024), overlap, copy);
    bench_decode(timer, qwen, uniform(64, 1, 1024), overlap, copy);
    AttentionShape pages = llama;
    pages.block_size = 64;
    bench_decode(timer, pages, uniform(32, 1, 4096), overlap, copy);
    Batch window = uniform(32, 1, 32768);
    window.window = 4096;
    bench_decode(timer, llama, window, overlap, copy);
    for (const int dim : {64, 80, 96, 256}) {
      AttentionShape s = llama;
      s.head_dim = dim;
      bench_decode(timer, s, uniform(32, 1, 4096), overlap, copy);
    }
  }
  if (wants("prefill")) {
    for (const int len : {1024, 4096, 8192, 16384}) bench_prefill(timer, llama, uniform(1, len, len));
    bench_prefill(timer, llama, uniform(1, 512, 8192 + 512));
    bench_prefill(timer, llama, uniform(8, 1024, 1024));
    Batch ragged{"8 of 256 to 2048", {}, {}};
    for (int i = 1; i <= 8; ++i) {
      ragged.q_lens.push_back(256 * i);
      ragged.lens.push_back(256 * i);
    }
    bench_prefill(timer, llama, ragged);
    bench_prefill(timer, qwen, uniform(1, 8192, 8192));
    for (const int dim : {64, 96, 256}) {
      AttentionShape s = llama;
      s.head_dim = dim;
      bench_prefill(timer, s, uniform(1, 8192, 8192));
    }
  }
  if (wants("plan")) {
    bench_plan(timer, llama, uniform(1, 1, 1024));
    bench_plan(timer, llama, uniform(256, 1, 1024));
    bench_plan(timer, llama, uniform(64, 64, 1024));
  }
  return 0;
}
