// SPDX-License-Identifier: Apache-2.0
// Sampling alone, in a CUDA graph, over logits too large for L2 together: one JSON line per case.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <random>
#include <vector>

#include "cuda/sampling/sampling.h"
#include "kernels/cuda/device_array.h"

namespace {

using namespace mhub::kernels::cuda;

constexpr int kVocab = 151936, kCopies = 4, kReplays = 15;

struct Case {
  const char* name;
  LogitType type;
  int rows;
  SampleRow row;
  float spread;  // standard deviation of the logits
};

SampleRow row_of(float temperature, int top_k, float top_p, float min_p) {
  SampleRow row;
  row.temperature = temperature;
  row.top_k = top_k;
  row.top_p = top_p;
  row.min_p = min_p;
  return row;
}

void run(const Case& c) {
  const size_t width = c.type == LogitType::kFloat32 ? 4 : 2, count = static_cast<size_t>(c.rows) * kVocab;
  std::vector<float> random(1u << 20);
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0.0f, c.spread);
  for (float& x : random) x = normal(generator);
  const DeviceArray<char> logits(count * width * kCopies);
  std::vector<char> host(count * width);
  for (size_t i = 0; i < count; ++i) {
    const uint32_t bits = [&] {
      uint32_t result;
      static_assert(sizeof(result) == sizeof(float));
      __builtin_memcpy(&result, &random[(i * 7 + i / random.size()) % random.size()], 4);
      return result;
    }();
    if (width == 4) __builtin_memcpy(&host[i * 4], &bits, 4);
    const auto half = static_cast<uint16_t>(bits >> 16);
    if (width == 2) __builtin_memcpy(&host[i * 2], &half, 2);
  }
  for (int copy = 0; copy < kCopies; ++copy)
    check(cudaMemcpy(logits.get() + static_cast<size_t>(copy) * host.size(), host.data(), host.size(),
                     cudaMemcpyDefault));
  std::vector<SampleRow> rows(static_cast<size_t>(c.rows), c.row);
  for (size_t i = 0; i < rows.size(); ++i) rows[i].race_key = 0x9e3779b97f4a7c15u * (i + 1);
  const DeviceArray<SampleRow> device_rows(rows);
  const DeviceArray<int32_t> ids(rows.size());
  const DeviceArray<char> workspace(sampling_workspace_bytes(c.rows, kVocab));
  cudaStream_t stream;
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  cudaEvent_t begin, end;
  check(cudaStreamCreate(&stream));
  check(cudaEventCreate(&begin));
  check(cudaEventCreate(&end));
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  for (int copy = 0; copy < kCopies; ++copy) {
    SampleBatch batch;
    batch.logits = logits.get() + static_cast<size_t>(copy) * host.size();
    batch.logits_stride = kVocab;
    batch.type = c.type;
    batch.vocab = kVocab;
    batch.num_rows = c.rows;
    batch.rows = device_rows.get();
    batch.ids = ids.get();
    batch.workspace = workspace.get();
    check(sample_tokens(batch, stream));
  }
  check(cudaStreamEndCapture(stream, &graph));
  check(cudaGraphInstantiate(&exec, graph, 0));
  std::vector<double> times;
  for (int i = 0; i < kReplays + 2; ++i) {
    check(cudaEventRecord(begin, stream));
    check(cudaGraphLaunch(exec, stream));
    check(cudaEventRecord(end, stream));
    check(cudaEventSynchronize(end));
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin, end));
    if (i >= 2) times.push_back(1e3 * static_cast<double>(ms) / kCopies);
  }
  std::sort(times.begin(), times.end());
  const double us = times[kReplays / 2];
  std::printf("{\"case\":\"%s\",\"logits\":\"%s\",\"rows\":%d,\"vocab\":%d,\"us\":%.1f,\"tb_s_of_one_pass\":%.2f}\n",
              c.name, width == 4 ? "f32" : "bf16", c.rows, kVocab, us, static_cast<double>(count * width) / us / 1e6);
  std::fflush(stdout);
}

}  // namespace

int main() {
  if (!has_device()) {
    std::puts("no CUDA device");
    return 1;
  }
  for (const LogitType type : {LogitType::kFloat32, LogitType::kBFloat16}) {
    for (const int rows : {1, 32, 128, 256}) {
      run({"greedy", type, rows, row_of(0, 0, 1, 0), 2.5f});
      run({"temperature", type, rows, row_of(0.8f, 0, 1, 0), 2.5f});
      run({"top_k 50, top_p 0.9", type, rows, row_of(0.8f, 50, 0.9f, 0), 2.5f});
      run({"top_p 0.9", type, rows, row_of(0.8f, 0, 0.9f, 0), 2.5f});
      run({"top_p 0.9, flat", type, rows, row_of(1.0f, 0, 0.9f, 0), 0.5f});
      run({"min_p 0.05", type, rows, row_of(0.8f, 0, 1, 0.05f), 2.5f});
    }
  }
  return 0;
}
