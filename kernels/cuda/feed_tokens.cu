// SPDX-License-Identifier: Apache-2.0
#include "cuda/error.h"
#include "cuda/feed_tokens.h"

namespace mhub::kernels::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void feed_tokens_kernel(int32_t* tokens, const int32_t* sources, const int32_t* drawn, int count) {
  const int i = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (i < count && sources[i] >= 0) tokens[i] = max(drawn[sources[i]], 0);
}

}  // namespace

void feed_tokens(int32_t* tokens, const int32_t* sources, const int32_t* drawn, int64_t count, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>((count + kThreads - 1) / kThreads);
  feed_tokens_kernel<<<blocks, kThreads, 0, stream>>>(tokens, sources, drawn, static_cast<int>(count));
  check_launch("feed_tokens", {count});
}

}  // namespace mhub::kernels::cuda
