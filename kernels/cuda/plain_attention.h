// SPDX-License-Identifier: Apache-2.0
// Paged attention for any head size and page size, in the plainest way. The fast kernels are in attention/.
#pragma once

#include <cuda_runtime.h>

#include "cuda/kv_cache.h"

namespace mhub::kernels::cuda {

// AttentionMetadata on the device.
struct DeviceAttention {
  const int32_t* cu_seqlens_q = nullptr;  // [sequences + 1]
  const int32_t* seq_lens = nullptr;      // [sequences]
  const int32_t* block_tables = nullptr;  // [sequences, table_stride]
  int64_t sequences = 0, table_stride = 0;
};

void plain_attention(TensorView out, TensorView q, const DeviceAttention& metadata, const AttentionOptions& options,
                     const CudaKvCache& cache, int64_t layer, cudaStream_t stream);

}  // namespace mhub::kernels::cuda
