// SPDX-License-Identifier: Apache-2.0
#include "mhub/model/backend_choice.h"

#include <fmt/format.h>

#include <array>

namespace mhub::model {
namespace {

struct DtypeName {
  std::string_view name;
  kernels::Compute compute;
};
constexpr std::array<DtypeName, 6> kDtypeNames = {{{"auto", kernels::Compute::kFast},
                                                   {"half", kernels::Compute::kFast},
                                                   {"float16", kernels::Compute::kFast},
                                                   {"bfloat16", kernels::Compute::kFast},
                                                   {"float", kernels::Compute::kFloat32},
                                                   {"float32", kernels::Compute::kFloat32}}};

Result<std::unique_ptr<kernels::Backend>> make_cpu(const kernels::BackendOptions& options) {
  try {
    return kernels::make_cpu_backend(options);
  } catch (const kernels::BackendError& e) {
    return Error{ErrorCode::kUsage, fmt::format("the cpu back end cannot start: {}", e.what()),
                 "the cpu back end needs a processor with AVX2; see --threads", ""};
  }
}

}  // namespace

Result<kernels::Compute> compute_for_dtype(std::string_view dtype) {
  for (const auto& known : kDtypeNames) {
    if (known.name == dtype) return known.compute;
  }
  return Error{ErrorCode::kUsage, fmt::format("dtype \"{}\" is unknown", printable(dtype, 64)),
               "use auto, half, float16, bfloat16, float or float32", "dtype"};
}

kernels::DType half_dtype(std::string_view dtype) {
  return dtype == "half" || dtype == "float16" ? kernels::DType::kF16 : kernels::DType::kBF16;
}

Result<std::unique_ptr<kernels::Backend>> make_backend(std::string_view device, const kernels::BackendOptions& options,
                                                       std::string_view cuda_search_path, std::string* why_cpu) {
  if (device == "cpu") return make_cpu(options);
  if (device != "auto" && device != "cuda") {
    return Error{ErrorCode::kUsage, fmt::format("device \"{}\" is unknown", printable(device, 64)),
                 "use auto, cpu or cuda", "device"};
  }
  std::string why;
  if (auto cuda = kernels::load_cuda_backend(options, cuda_search_path, &why)) return cuda;
  if (device == "auto") {
    if (why_cpu) *why_cpu = std::move(why);
    return make_cpu(options);
  }
  return Error{ErrorCode::kDevice, fmt::format("device cuda was asked for and cannot be used: {}", why),
               "use --device cpu or --device auto", "device"};
}

}  // namespace mhub::model
