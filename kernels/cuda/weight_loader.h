// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>

#include "cuda/weight.h"

namespace mhub::kernels::cuda {

// Brings matrices to the device through a ring of pinned memory: while one chunk crosses the bus, threads fill the
// next. Float types cross as they lie in the file and are converted there; quantized ones are expanded on the host.
class WeightLoader {
 public:
  WeightLoader(DType dtype, cudaStream_t stream) : dtype_(dtype), stream_(stream) {}
  // null with *why when a source has an unsupported format or shape, or the device has not that much memory.
  std::unique_ptr<CudaWeight> load(std::span<const MatrixSource> stacked, std::string* why);

 private:
  static constexpr size_t kChunkBytes = size_t{16} << 20;
  struct Slot {
    PinnedMemory host;
    DeviceMemory device;  // where a chunk waits for its conversion
    Event done;
  };
  void upload(const MatrixSource& source, TensorView to);
  void upload_chunk(const MatrixSource& source, int64_t first_row, TensorView to);

  DType dtype_;
  cudaStream_t stream_;
  std::array<Slot, 3> ring_;
  size_t next_slot_ = 0;
};

}  // namespace mhub::kernels::cuda
