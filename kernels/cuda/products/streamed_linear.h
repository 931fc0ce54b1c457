// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include "cuda/resources.h"
#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

// out = x * W^T + bias for up to 128 rows on Hopper: each processor streams its rows of W through a ring in shared
// memory and begins to do so while the kernels before still run. FP16 and BF16, out may be F32.
class StreamedLinear {
 public:
  StreamedLinear();  // for the current device
  bool available() const { return processors_ > 0; }
  bool fits(TensorView out, TensorView x, TensorView weight) const;
  void run(TensorView out, TensorView x, TensorView weight, const void* bias, cudaStream_t stream) const;

  // The same for W = [gate; up], with out = activation(x * gate^T) * (x * up^T).
  bool fits_gated(TensorView out, TensorView x, TensorView weight, const GatedActivation& activation) const;
  void run_gated(TensorView out, TensorView x, TensorView weight, const void* bias, Activation activation,
                 cudaStream_t stream) const;

 private:
  struct Call;
  void run(const Call& call, cudaStream_t stream) const;

  int processors_ = 0;  // none: not on this device
};

}  // namespace mhub::kernels::cuda
