// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <span>

#include "cuda/resources.h"
#include "cuda/sampling/sampling.h"
#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

// How a step's rows are drawn; null = all greedy.
struct Samples {
  const SampleRow* rows = nullptr;  // device memory
  int64_t count = 0;
};
// What a step drew, on the device.
struct Drawn {
  const int32_t* ids = nullptr;
  int64_t count = 0;
};

bool all_greedy(std::span<const SampleSpec> specs);
void fill_sample_rows(SampleRow* rows, std::span<const SampleSpec> specs);

// Draws tokens on the device (sampling/) and brings them to the host.
class DeviceSampler {
 public:
  explicit DeviceSampler(cudaStream_t stream) : stream_(stream) {}
  // Waits for everything on the stream.
  void run(std::span<int32_t> out, TensorView logits, std::span<const SampleSpec> specs);

  // Without waiting: rows [first, first + logits.rows) of a step's samples; then end_step(), and collect() while at
  // most one later step has ended.
  void draw(int64_t first, TensorView logits, Samples samples);
  void end_step();
  void collect(std::span<int32_t> out);
  Drawn drawn() const { return {ids_.as<int32_t>(), last_drawn_}; }

 private:
  struct Ended {  // a step on its way to the host
    PinnedMemory ids;
    Event arrived;
    int64_t count = 0;
  };
  void reserve(size_t rows, int64_t vocab);
  void launch(int64_t first, TensorView logits, const SampleRow* rows);

  cudaStream_t stream_;
  size_t capacity_ = 0;  // rows
  int64_t vocab_ = 0;    // that the workspace is for
  DeviceMemory rows_, greedy_rows_, ids_, workspace_;
  PinnedMemory host_rows_;
  int64_t drawing_ = 0, last_drawn_ = 0;  // of the step now, and of the last that ended
  std::array<Ended, 2> ended_;            // used in turn
  size_t oldest_ = 0, num_ended_ = 0;
};

}  // namespace mhub::kernels::cuda
