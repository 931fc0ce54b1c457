// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace mhub::kernels::cuda {

// tokens[i] = drawn[sources[i]] where sources[i] >= 0 (0 where nothing could be drawn).
void feed_tokens(int32_t* tokens, const int32_t* sources, const int32_t* drawn, int64_t count, cudaStream_t stream);

}  // namespace mhub::kernels::cuda
