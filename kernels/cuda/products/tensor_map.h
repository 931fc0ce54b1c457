// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda.h>

#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

// Describes a matrix of 16-bit elements to the copy engine: boxes of box_rows rows and 64 columns, which arrive with
// 128-byte swizzled rows. False where the driver knows no such thing or the matrix is not aligned for it.
bool describe_matrix(CUtensorMap* map, const TensorView& matrix, int box_rows);

}  // namespace mhub::kernels::cuda
