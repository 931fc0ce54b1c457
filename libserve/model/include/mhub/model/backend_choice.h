// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "mhub/base/result.h"
#include "mhub/kernels/backend.h"

namespace mhub::model {

// How --dtype computes: float, float32 -> kFloat32; auto, half, float16, bfloat16 -> kFast. Errors: kUsage.
Result<kernels::Compute> compute_for_dtype(std::string_view dtype);
// The 16-bit type that kFast uses on a device which multiplies 16-bit types: F16 for half and float16, else BF16.
kernels::DType half_dtype(std::string_view dtype);

// device: "auto" (CUDA when it loads, else the CPU), "cpu" or "cuda" (kDevice with the reason when it cannot load;
// never a silent fallback). cuda_search_path: where libmhub_cuda.so lies, empty = the loader's own places. why_cpu: set
// when "auto" took the CPU, to what prevents CUDA.
Result<std::unique_ptr<kernels::Backend>> make_backend(std::string_view device, const kernels::BackendOptions& options,
                                                       std::string_view cuda_search_path = {},
                                                       std::string* why_cpu = nullptr);

}  // namespace mhub::model
