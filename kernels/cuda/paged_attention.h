// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <tuple>

#include "cuda/attention/attention.h"
#include "cuda/kv_cache.h"
#include "cuda/resources.h"
#include "cuda/step_inputs.h"

namespace mhub::kernels::cuda {

// Attention over the paged cache: the kernels of attention/ for the shapes that they serve, plain_attention() for all
// others. Plans are made once per announced step and window.
class PagedAttention {
 public:
  PagedAttention(cudaStream_t stream, StepInputsOnDevice& inputs, bool batch_invariant)
      : stream_(stream), inputs_(inputs), batch_invariant_(batch_invariant) {}
  void run(TensorView out, TensorView q, const AttentionMetadata& metadata, const AttentionOptions& options,
           const CudaKvCache& cache, int64_t layer);

 private:
  struct Planned {
    AttentionSetup setup;
    DeviceMemory plan;
    uint64_t epoch = 0;  // of the step that it was made for
  };
  // Query heads, KV heads, head size, page size, type, window.
  using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, DType, int64_t>;
  // null where attention/ has no kernel for the shape.
  Planned* planned_for(TensorView q, const KvShape& shape, int64_t window);
  void run_fast(Planned& planned, TensorView out, TensorView q, const AttentionMetadata& metadata,
                const AttentionOptions& options, const CudaKvCache& cache, int64_t layer);

  cudaStream_t stream_;
  StepInputsOnDevice& inputs_;
  const bool batch_invariant_;
  std::map<Key, std::optional<Planned>> plans_;
  DeviceMemory scratch_;
};

}  // namespace mhub::kernels::cuda
