// SPDX-License-Identifier: Apache-2.0
#include "cuda/step_inputs.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "cuda/feed_tokens.h"

namespace mhub::kernels::cuda {
namespace {

constexpr size_t kAlignWords = 16;
constexpr size_t kSpotWords = size_t{1} << 16;
constexpr int64_t kLeastStride = 16;

size_t padded(size_t words) {
  return (words + kAlignWords - 1) / kAlignWords * kAlignWords;
}

std::pair<int32_t, int32_t> range_of(std::span<const int32_t> values) {
  if (values.empty()) return {0, -1};
  int32_t least = values[0], greatest = values[0];
  for (const int32_t value : values) least = std::min(least, value), greatest = std::max(greatest, value);
  return {least, greatest};
}

void require_range(int32_t least, int32_t greatest, int64_t lowest, int64_t limit, const char* operation) {
  if (least > greatest) return;
  require(least >= lowest && greatest < limit, operation, {least, greatest, limit},
          "an index lies outside of what it points into (least, greatest, limit)");
}

}  // namespace

void StepInputsOnDevice::reserve(size_t words) {
  const size_t bytes = words * sizeof(int32_t);
  if (device_.bytes() >= bytes) return;
  const size_t larger = std::bit_ceil(std::max(bytes, size_t{1} << 20));
  check(cudaStreamSynchronize(stream_), "wait for the step before");
  device_ = DeviceMemory::allocate(larger);
  require(static_cast<bool>(device_), "begin_step", {static_cast<int64_t>(larger)}, "no memory for a step's inputs");
  for (Slot& slot : ring_) slot.memory = PinnedMemory(larger);
  ++generation_;
}

void StepInputsOnDevice::begin(const StepInputs& inputs, Drawn drawn) {
  const AttentionMetadata& a = inputs.attention;
  ++epoch_;
  tokens_ = static_cast<int64_t>(inputs.tokens.size());
  sequences_ = static_cast<int64_t>(a.seq_lens.size());
  max_blocks_ = a.max_blocks;
  table_stride_ = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max(max_blocks_, kLeastStride))));
  require(static_cast<int64_t>(a.block_tables.size()) == sequences_ * max_blocks_, "begin_step",
          {sequences_, max_blocks_}, "the block tables are no matrix of that shape");
  const std::array<std::span<const int32_t>, kArrays> arrays = {
      inputs.tokens, inputs.positions, inputs.slot_mapping, a.cu_seqlens_q,
      a.seq_lens,    a.block_tables,   inputs.logit_rows,   inputs.token_sources};
  std::array<size_t, kArrays> offsets{};
  size_t words = 0;
  for (size_t i = 0; i < kArrays; ++i) {
    offsets[i] = words;
    words += padded(i == kTables ? static_cast<size_t>(sequences_ * table_stride_) : arrays[i].size());
  }
  const size_t samples_at = words;
  const bool greedy = all_greedy(inputs.samples);
  if (!greedy) words += padded(inputs.samples.size() * sizeof(SampleRow) / sizeof(int32_t));
  reserve(words);
  Slot& slot = ring_[next_slot_];
  next_slot_ = (next_slot_ + 1) % ring_.size();
  constexpr const char* kEarlier = "wait for the copy of an earlier step's inputs";
  const cudaError_t copied = cudaEventQuery(slot.copied.get());  // as a rule it is long done
  if (copied == cudaErrorNotReady)
    check(cudaEventSynchronize(slot.copied.get()), kEarlier);
  else
    check(copied, kEarlier);
  auto* host = slot.memory.as<int32_t>();
  for (size_t i = 0; i < kArrays; ++i) {
    const auto [least, greatest] = range_of(arrays[i]);
    announced_[i] = {arrays[i].data(), arrays[i].size(), device_.as<int32_t>() + offsets[i], least, greatest};
    if (i == kTables) {
      for (int64_t s = 0; s < sequences_; ++s)
        std::memcpy(host + offsets[i] + s * table_stride_, arrays[i].data() + s * max_blocks_,
                    static_cast<size_t>(max_blocks_) * sizeof(int32_t));
    } else if (!arrays[i].empty()) {
      std::memcpy(host + offsets[i], arrays[i].data(), arrays[i].size_bytes());
    }
  }
  samples_ = {nullptr, static_cast<int64_t>(inputs.samples.size())};
  if (!greedy) {
    fill_sample_rows(reinterpret_cast<SampleRow*>(host + samples_at), inputs.samples);
    samples_.rows = reinterpret_cast<const SampleRow*>(device_.as<int32_t>() + samples_at);
  }
  check(cudaMemcpyAsync(device_.as<>(), host, words * sizeof(int32_t), cudaMemcpyHostToDevice, stream_),
        "copy a step's inputs", {tokens_, sequences_, max_blocks_});
  check(cudaEventRecord(slot.copied.get(), stream_), "copy a step's inputs");
  if (inputs.token_sources.empty()) return;
  const Announced& sources = announced_[kSources];
  require(static_cast<int64_t>(sources.size) == tokens_ && sources.least >= -1 && sources.greatest < drawn.count,
          "begin_step", {tokens_, sources.greatest, drawn.count}, "a token's source was not drawn by the step before");
  feed_tokens(device_.as<int32_t>() + offsets[kTokens], sources.device, drawn.ids, tokens_, stream_);
}

uint64_t StepInputsOnDevice::layout() const {
  return static_cast<uint64_t>(tokens_) << 40 | static_cast<uint64_t>(sequences_) << 20 |
         static_cast<uint64_t>(table_stride_);
}

int32_t* StepInputsOnDevice::on_the_spot(std::span<const int32_t> host) {
  require(!recording_, "replay", {static_cast<int64_t>(host.size())},
          "an operation uses indices that were not announced for the step");
  const size_t words = padded(std::max<size_t>(host.size(), 1));
  if (spot_.bytes() < words * sizeof(int32_t) * 4) {
    check(cudaStreamSynchronize(stream_), "wait for the operations before");
    spot_ = DeviceMemory::allocate(std::max(words * 4, kSpotWords) * sizeof(int32_t));
    require(static_cast<bool>(spot_), "copy indices", {static_cast<int64_t>(words)}, "no memory");
    spot_used_ = 0;
  }
  // Earlier users of the same place come first on the stream.
  if ((spot_used_ + words) * sizeof(int32_t) > spot_.bytes()) spot_used_ = 0;
  int32_t* const device = spot_.as<int32_t>() + spot_used_;
  spot_used_ += words;
  check(cudaMemcpyAsync(device, host.data(), host.size_bytes(), cudaMemcpyHostToDevice, stream_), "copy indices",
        {static_cast<int64_t>(host.size())});
  return device;
}

const int32_t* StepInputsOnDevice::array(std::span<const int32_t> host, int64_t lowest, int64_t limit,
                                         const char* operation) {
  for (size_t i = 0; i < kArrays; ++i) {
    const Announced& known = announced_[i];
    if (known.host != host.data() || known.size != host.size() || host.empty()) continue;
    require_range(known.least, known.greatest, lowest, limit, operation);
    if (recording_) demands_.push_back({i, lowest, limit, operation});
    return known.device;
  }
  const auto [least, greatest] = range_of(host);
  require_range(least, greatest, lowest, limit, operation);
  return on_the_spot(host);
}

void StepInputsOnDevice::check_demands(std::span<const Demand> demands) const {
  for (const Demand& demand : demands) {
    const Announced& array = announced_[demand.array];
    require_range(array.least, array.greatest, demand.lowest, demand.limit, demand.operation);
  }
}

DeviceAttention StepInputsOnDevice::attention(const AttentionMetadata& metadata, const KvShape& shape, int64_t rows) {
  constexpr const char* kName = "paged_attention";
  const auto sequences = static_cast<int64_t>(metadata.seq_lens.size());
  require(static_cast<int64_t>(metadata.cu_seqlens_q.size()) == sequences + 1, kName, {sequences},
          "cu_seqlens_q has another length");
  require(metadata.cu_seqlens_q.front() == 0 && metadata.cu_seqlens_q.back() == rows, kName, {sequences, rows},
          "cu_seqlens_q does not cover the rows");
  DeviceAttention device;
  device.sequences = sequences;
  device.table_stride = announced(metadata) ? table_stride_ : metadata.max_blocks;
  device.cu_seqlens_q = array(metadata.cu_seqlens_q, 0, rows + 1, kName);
  device.seq_lens = array(metadata.seq_lens, 0, device.table_stride * shape.block_size + 1, kName);
  device.block_tables = array(metadata.block_tables, 0, shape.num_blocks, kName);
  return device;
}

}  // namespace mhub::kernels::cuda
