// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cuda/resources.h"
#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

// Per layer [block][K|V][kv_head][slot][head_dim], elements as the activations; a latent cache has no V.
class CudaKvCache final : public KvCache {
 public:
  CudaKvCache(const KvShape& shape, DType dtype, DeviceMemory memory)
      : shape_(shape), dtype_(dtype), memory_(std::move(memory)) {}

  int64_t num_blocks() const override { return shape_.num_blocks; }
  size_t bytes() const override { return memory_.bytes(); }
  const KvShape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  void* layer(int64_t index) const {
    return memory_.as<char>() + index * block_elements() * shape_.num_blocks * dtype_info(dtype_).block_bytes;
  }
  // Elements of one block of one layer: keys, then values.
  int64_t block_elements() const {
    return (shape_.latent_dim > 0 ? 1 : 2) * shape_.num_kv_heads * shape_.block_size * shape_.head_dim;
  }

 private:
  KvShape shape_;
  DType dtype_;
  DeviceMemory memory_;
};

}  // namespace mhub::kernels::cuda
