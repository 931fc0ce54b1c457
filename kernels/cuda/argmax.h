// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

// ids[row] = index of the greatest of logits[row] (F32), the lowest among equals; -1 when one is NaN or none is finite.
// best: scratch of one word per row, zero before and after.
void argmax(int32_t* ids, unsigned long long* best, TensorView logits, cudaStream_t stream);

}  // namespace mhub::kernels::cuda
