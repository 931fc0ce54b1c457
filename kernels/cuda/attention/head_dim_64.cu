// SPDX-License-Identifier: Apache-2.0
#include "cuda/attention/head_dim.cuh"

namespace mhub::kernels::cuda {

const AttentionKernels& attention_kernels_d64() {
  return HeadDim<64>::kKernels;
}

}  // namespace mhub::kernels::cuda
