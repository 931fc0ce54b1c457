// SPDX-License-Identifier: Apache-2.0
#include "cuda/products/tensor_map.h"

#include <cuda_runtime.h>

namespace mhub::kernels::cuda {
namespace {

constexpr unsigned kFirstVersion = 12000;  // of the driver's interface that has tensor maps

// Found through the run-time library, so that nothing is linked against the driver's own.
decltype(&cuTensorMapEncodeTiled) find_encoder() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  const cudaError_t error =
      cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, kFirstVersion, cudaEnableDefault, &found);
  if (error != cudaSuccess || found != cudaDriverEntryPointSuccess) {
    cudaGetLastError();  // forget it
    return nullptr;
  }
  return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
}

}  // namespace

bool describe_matrix(CUtensorMap* map, const TensorView& matrix, int box_rows) {
  static const auto encode = find_encoder();
  if (encode == nullptr || (matrix.dtype != DType::kBF16 && matrix.dtype != DType::kF16)) return false;
  const CUtensorMapDataType type =
      matrix.dtype == DType::kBF16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
  const cuuint64_t sizes[2] = {static_cast<cuuint64_t>(matrix.cols), static_cast<cuuint64_t>(matrix.rows)};
  const cuuint64_t strides[1] = {static_cast<cuuint64_t>(matrix.stride) * 2};
  const cuuint32_t box[2] = {64, static_cast<cuuint32_t>(box_rows)}, steps[2] = {1, 1};
  return encode(map, type, 2, matrix.data, sizes, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
                CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

}  // namespace mhub::kernels::cuda
