// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "mhub/kernels/dtype.h"

namespace mhub::formats {

// GGUF's numeric element types.
std::optional<kernels::DType> gguf_dtype(uint32_t type);  // nullopt: not read by this build
std::string gguf_type_name(uint32_t type);                // for messages, also of types not read

}  // namespace mhub::formats
