// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "host_memory.h"
#include "mhub/kernels/backend.h"

namespace mhub::kernels::cpu {

// [layer][block][kv head]{ keys [head_dim, block_size], values [block_size, head_dim] }, or with latent_dim
// [layer][block][kv head][block_size, head_dim].
class CpuKvCache final : public KvCache {
 public:
  CpuKvCache(const KvShape& shape, DType dtype, HostMemory memory)
      : shape_(shape), dtype_(dtype), memory_(std::move(memory)) {}

  int64_t num_blocks() const override { return shape_.num_blocks; }
  size_t bytes() const override { return memory_.bytes(); }
  const KvShape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }

  int64_t element_bytes() const { return dtype_info(dtype_).block_bytes; }
  bool latent() const { return shape_.latent_dim > 0; }
  // Bytes from a head's block (from a row of it in a latent cache) to its values.
  int64_t values_offset() const {
    return (latent() ? shape_.head_dim - shape_.latent_dim : shape_.block_size * shape_.head_dim) * element_bytes();
  }
  int64_t head_bytes() const { return (latent() ? 1 : 2) * shape_.block_size * shape_.head_dim * element_bytes(); }
  int64_t block_stride() const { return shape_.num_kv_heads * head_bytes(); }
  // Block 0 of a layer's KV head.
  uint8_t* head_base(int64_t layer, int64_t head) const {
    return memory_.data() + layer * shape_.num_blocks * block_stride() + head * head_bytes();
  }

 private:
  KvShape shape_;
  DType dtype_;
  HostMemory memory_;
};

}  // namespace mhub::kernels::cpu
