// SPDX-License-Identifier: Apache-2.0
#include "cuda/attention/head_dim.cuh"

namespace mhub::kernels::cuda {

const AttentionKernels& attention_kernels_d80() {
  return HeadDim<80>::kKernels;
}

}  // namespace mhub::kernels::cuda
