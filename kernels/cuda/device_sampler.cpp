// SPDX-License-Identifier: Apache-2.0
#include "cuda/device_sampler.h"

#include <algorithm>
#include <bit>

namespace mhub::kernels::cuda {
namespace {

constexpr const char* kName = "sample";
constexpr size_t kLeastRows = 512;

}  // namespace

bool all_greedy(std::span<const SampleSpec> specs) {
  return std::all_of(specs.begin(), specs.end(), [](const SampleSpec& spec) { return spec.temperature <= 0; });
}

void fill_sample_rows(SampleRow* rows, std::span<const SampleSpec> specs) {
  for (const SampleSpec& spec : specs) {
    SampleRow row;
    row.temperature = spec.temperature;
    row.top_p = spec.top_p;
    row.min_p = spec.min_p;
    row.top_k = spec.top_k;
    row.race_key = spec.race_key;
    *rows++ = row;
  }
}

void DeviceSampler::reserve(size_t rows, int64_t vocab) {
  if (rows <= capacity_ && vocab == vocab_) return;
  check(cudaStreamSynchronize(stream_), kName);
  capacity_ = std::bit_ceil(std::max({rows, capacity_, kLeastRows}));
  vocab_ = vocab;
  rows_ = DeviceMemory::allocate(capacity_ * sizeof(SampleRow));
  greedy_rows_ = DeviceMemory::allocate(capacity_ * sizeof(SampleRow));
  ids_ = DeviceMemory::allocate(capacity_ * sizeof(int32_t));
  workspace_ = DeviceMemory::allocate(sampling_workspace_bytes(static_cast<int>(capacity_), static_cast<int>(vocab)));
  require(rows_ && greedy_rows_ && ids_ && workspace_, kName, {static_cast<int64_t>(capacity_), vocab}, "no memory");
  host_rows_ = PinnedMemory(capacity_ * sizeof(SampleRow));
  std::fill_n(host_rows_.as<SampleRow>(), capacity_, SampleRow{});
  check(cudaMemcpyAsync(greedy_rows_.as<>(), host_rows_.as<void>(), greedy_rows_.bytes(), cudaMemcpyHostToDevice,
                        stream_),
        kName);
  check(cudaMemsetAsync(workspace_.as<>(), 0, workspace_.bytes(), stream_), kName);
  check(cudaStreamSynchronize(stream_), kName);  // host_rows_ is used again
}

void DeviceSampler::launch(int64_t first, TensorView logits, const SampleRow* rows) {
  SampleBatch batch;
  batch.logits = logits.data;
  batch.logits_stride = logits.stride;
  batch.vocab = static_cast<int>(logits.cols);
  batch.num_rows = static_cast<int>(logits.rows);
  batch.rows = rows;
  batch.ids = ids_.as<int32_t>() + first;
  batch.workspace = workspace_.as<>();
  check(sample_tokens(batch, stream_), kName, {logits.rows, logits.cols});
}

void DeviceSampler::run(std::span<int32_t> out, TensorView logits, std::span<const SampleSpec> specs) {
  if (out.empty()) return;
  require(logits.dtype == DType::kF32 && logits.rows == static_cast<int64_t>(out.size()) && specs.size() == out.size(),
          kName, {logits.rows, logits.cols}, "logits are float32, one row per token");
  reserve(out.size(), logits.cols);
  const bool greedy = all_greedy(specs);
  if (!greedy) {
    fill_sample_rows(host_rows_.as<SampleRow>(), specs);
    check(cudaMemcpyAsync(rows_.as<>(), host_rows_.as<void>(), specs.size() * sizeof(SampleRow), cudaMemcpyHostToDevice,
                          stream_),
          kName);
  }
  launch(0, logits, greedy ? greedy_rows_.as<SampleRow>() : rows_.as<SampleRow>());
  check(cudaMemcpyAsync(out.data(), ids_.as<>(), out.size_bytes(), cudaMemcpyDeviceToHost, stream_), kName,
        {logits.rows, logits.cols});
  check(cudaStreamSynchronize(stream_), "a step up to its sampling", {logits.rows, logits.cols});
}

void DeviceSampler::draw(int64_t first, TensorView logits, Samples samples) {
  if (logits.rows == 0) return;
  require(logits.dtype == DType::kF32, kName, {logits.rows, logits.cols}, "logits are float32");
  reserve(static_cast<size_t>(samples.count), logits.cols);
  launch(first, logits, samples.rows != nullptr ? samples.rows + first : greedy_rows_.as<SampleRow>());
  drawing_ = std::max(drawing_, first + logits.rows);
}

void DeviceSampler::end_step() {
  require(num_ended_ < ended_.size(), "end_step", {}, "two steps are on their way to the host already");
  Ended& step = ended_[(oldest_ + num_ended_) % ended_.size()];
  ++num_ended_;
  step.count = last_drawn_ = std::exchange(drawing_, 0);
  const size_t bytes = static_cast<size_t>(step.count) * sizeof(int32_t);
  if (step.ids.bytes() < bytes) step.ids = PinnedMemory(capacity_ * sizeof(int32_t));
  if (bytes > 0)
    check(cudaMemcpyAsync(step.ids.as<void>(), ids_.as<>(), bytes, cudaMemcpyDeviceToHost, stream_), "end_step",
          {step.count});
  check(cudaEventRecord(step.arrived.get(), stream_), "end_step", {step.count});
}

void DeviceSampler::collect(std::span<int32_t> out) {
  require(num_ended_ > 0 && ended_[oldest_].count == static_cast<int64_t>(out.size()), "collect_step",
          {static_cast<int64_t>(out.size())}, "no step with so many samples has ended");
  Ended& step = ended_[oldest_];
  check(cudaEventSynchronize(step.arrived.get()), "a step up to its sampling", {step.count});
  std::copy_n(step.ids.as<int32_t>(), out.size(), out.begin());
  oldest_ = (oldest_ + 1) % ended_.size();
  --num_ended_;
}

}  // namespace mhub::kernels::cuda
