// SPDX-License-Identifier: Apache-2.0
#include "mhub/kernels/backend.h"

namespace mhub::kernels {

TensorView TensorView::rows_at(int64_t first, int64_t count) const {
  if (first < 0 || count < 0 || first + count > rows) throw BackendError("TensorView::rows_at: out of range");
  TensorView part = *this;
  part.data = static_cast<char*>(data) + first * stride * dtype_info(dtype).block_bytes;
  part.rows = count;
  return part;
}

TensorView TensorView::cols_at(int64_t first, int64_t count) const {
  if (first < 0 || count < 0 || first + count > cols) throw BackendError("TensorView::cols_at: out of range");
  TensorView part = *this;
  part.data = static_cast<char*>(data) + first * dtype_info(dtype).block_bytes;
  part.cols = count;
  return part;
}

size_t KvShape::block_bytes(DType dtype) const {
  const int64_t vectors = latent_dim > 0 ? 1 : 2;
  return static_cast<size_t>(vectors * layers * block_size * num_kv_heads * head_dim) * dtype_info(dtype).block_bytes;
}

}  // namespace mhub::kernels
