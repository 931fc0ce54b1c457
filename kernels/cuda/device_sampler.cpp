// SPDX-License-Identifier: Apache-2.0
#include "cuda/device_sampler.h"

#include <algorithm>
#include <bit>

#include "cuda/sampling/sampling.h"

namespace mhub::kernels::cuda {
namespace {

constexpr const char* kName = "sample";
constexpr size_t kLeastRows = 256;

}  // namespace

void DeviceSampler::reserve(size_t rows, int64_t vocab) {
  if (rows <= capacity_ && vocab == vocab_) return;
  check(cudaStreamSynchronize(stream_), kName);
  capacity_ = std::bit_ceil(std::max({rows, capacity_, kLeastRows}));
  vocab_ = vocab;
  greedy_rows_ = 0;
  rows_ = DeviceMemory::allocate(capacity_ * sizeof(SampleRow));
  ids_ = DeviceMemory::allocate(capacity_ * sizeof(int32_t));
  workspace_ = DeviceMemory::allocate(sampling_workspace_bytes(static_cast<int>(capacity_), static_cast<int>(vocab)));
  require(rows_ && ids_ && workspace_, kName, {static_cast<int64_t>(capacity_), vocab}, "no memory");
  host_rows_ = PinnedMemory(capacity_ * sizeof(SampleRow));
  host_ids_ = PinnedMemory(capacity_ * sizeof(int32_t));
  check(cudaMemsetAsync(workspace_.as<>(), 0, workspace_.bytes(), stream_), kName);
}

void DeviceSampler::upload(std::span<const SampleSpec> specs) {
  const bool greedy = std::all_of(specs.begin(), specs.end(), [](const auto& spec) { return spec.temperature <= 0; });
  if (greedy && specs.size() <= greedy_rows_) return;
  auto* rows = host_rows_.as<SampleRow>();
  for (size_t i = 0; i < specs.size(); ++i) {
    rows[i] = SampleRow{};
    rows[i].temperature = specs[i].temperature;
    rows[i].top_p = specs[i].top_p;
    rows[i].min_p = specs[i].min_p;
    rows[i].top_k = specs[i].top_k;
    rows[i].race_key = specs[i].race_key;
  }
  check(cudaMemcpyAsync(rows_.as<>(), rows, specs.size() * sizeof(SampleRow), cudaMemcpyHostToDevice, stream_), kName);
  greedy_rows_ = greedy ? specs.size() : 0;
}

void DeviceSampler::run(std::span<int32_t> out, TensorView logits, std::span<const SampleSpec> specs) {
  if (out.empty()) return;
  require(logits.dtype == DType::kF32 && logits.rows == static_cast<int64_t>(out.size()) && specs.size() == out.size(),
          kName, {logits.rows, logits.cols}, "logits are float32, one row per token");
  reserve(out.size(), logits.cols);
  upload(specs);
  SampleBatch batch;
  batch.logits = logits.data;
  batch.logits_stride = logits.stride;
  batch.vocab = static_cast<int>(logits.cols);
  batch.num_rows = static_cast<int>(logits.rows);
  batch.rows = rows_.as<SampleRow>();
  batch.ids = ids_.as<int32_t>();
  batch.workspace = workspace_.as<>();
  check(sample_tokens(batch, stream_), kName, {logits.rows, logits.cols});
  check(cudaMemcpyAsync(host_ids_.as<void>(), ids_.as<>(), out.size_bytes(), cudaMemcpyDeviceToHost, stream_), kName,
        {logits.rows, logits.cols});
  check(cudaStreamSynchronize(stream_), "a step up to its sampling", {logits.rows, logits.cols});
  std::copy_n(host_ids_.as<int32_t>(), out.size(), out.begin());
}

}  // namespace mhub::kernels::cuda
