// SPDX-License-Identifier: Apache-2.0
// What the back end's operations demand of their callers.
#pragma once

#include "kv_cache.h"
#include "mhub/kernels/backend.h"
#include "weight.h"

namespace mhub::kernels::cpu {

inline void require(bool condition, const char* message) {
  if (!condition) throw BackendError(message);
}
inline void require_f32(const TensorView& view) {
  require(view.dtype == DType::kF32, "activations are float32 on the cpu");
}
inline void require_same_shape(const TensorView& a, const TensorView& b, const char* message) {
  require_f32(a);
  require_f32(b);
  require(a.rows == b.rows && a.cols == b.cols, message);
}
inline const CpuWeight& as_cpu(const PreparedWeight& weight) {
  const auto* mine = dynamic_cast<const CpuWeight*>(&weight);
  require(mine != nullptr, "the weight was prepared by another back end");
  return *mine;
}
inline const CpuKvCache& as_cpu(const KvCache& cache) {
  const auto* mine = dynamic_cast<const CpuKvCache*>(&cache);
  require(mine != nullptr, "the KV cache belongs to another back end");
  return *mine;
}

}  // namespace mhub::kernels::cpu
