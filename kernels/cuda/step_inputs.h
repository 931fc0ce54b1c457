// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <span>
#include <vector>

#include "cuda/device_sampler.h"
#include "cuda/plain_attention.h"
#include "cuda/resources.h"

namespace mhub::kernels::cuda {

// A step's integers (ids, positions, slots, lengths, block tables) on the device: one packed copy a step. Operations
// name the host arrays they were announced with and get the copies; arrays that were not announced are copied on the
// spot. Addresses depend only on the number of tokens and sequences and on the table stride (a power of two), so that
// recorded operations find the next step's values in place.
class StepInputsOnDevice {
 public:
  explicit StepInputsOnDevice(cudaStream_t stream) : stream_(stream) {}

  // `drawn`: what the step before drew, for inputs.token_sources.
  void begin(const StepInputs& inputs, Drawn drawn);
  Samples samples() const { return samples_; }
  // Identifies the layout of the announced step.
  uint64_t layout() const;
  // Changes when the addresses do: recorded operations are void then.
  int generation() const { return generation_; }
  void forget_recordings() { ++generation_; }
  // Changes with each announced step, and where a recording starts or ends: what was derived from the inputs before is
  // derived again.
  uint64_t epoch() const { return epoch_; }
  bool announced(const AttentionMetadata& metadata) const {
    return announced_[kSeqLens].host == metadata.seq_lens.data() && !metadata.seq_lens.empty();
  }

  // Copies of host arrays whose values were found to lie in [lowest, limit).
  const int32_t* array(std::span<const int32_t> host, int64_t lowest, int64_t limit, const char* operation);
  DeviceAttention attention(const AttentionMetadata& metadata, const KvShape& shape, int64_t rows);

  // While operations are recorded, their demands on the values are kept, to be checked for the steps that replay them.
  struct Demand {
    size_t array;
    int64_t lowest, limit;
    const char* operation;
  };
  void start_recording() {
    recording_ = true;
    ++epoch_;
    demands_.clear();
  }
  std::vector<Demand> stop_recording() {
    recording_ = false;
    ++epoch_;
    return std::move(demands_);
  }
  void check_demands(std::span<const Demand> demands) const;

 private:
  struct Announced {
    const int32_t* host = nullptr;
    size_t size = 0;
    const int32_t* device = nullptr;
    int32_t least = 0, greatest = -1;
  };
  // What recorded operations read comes first.
  enum Array : size_t { kTokens, kPositions, kSlots, kCuSeqlens, kSeqLens, kTables, kLogitRows, kSources, kArrays };

  void reserve(size_t words);
  int32_t* on_the_spot(std::span<const int32_t> host);

  cudaStream_t stream_;
  std::array<Announced, kArrays> announced_;
  Samples samples_;
  int64_t tokens_ = 0, sequences_ = 0, table_stride_ = 0;
  int64_t max_blocks_ = 0;  // of the announced metadata
  int generation_ = 0;
  uint64_t epoch_ = 1;
  DeviceMemory device_;
  struct Slot {  // of the host's ring: one is filled while the copy from the other may still run
    PinnedMemory memory;
    Event copied;
  };
  std::array<Slot, 2> ring_;
  size_t next_slot_ = 0;
  DeviceMemory spot_;
  size_t spot_used_ = 0;
  bool recording_ = false;
  std::vector<Demand> demands_;
};

}  // namespace mhub::kernels::cuda
