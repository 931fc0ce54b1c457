// SPDX-License-Identifier: Apache-2.0
// The one function that libmhub_cuda.so exports. Its name carries the version: a library of another version is not
// found.
#pragma once

#include <cstddef>

#include "mhub/kernels/backend.h"

namespace mhub::kernels::cuda {

constexpr size_t kReasonBytes = 512;
constexpr const char* kOpenBackendSymbol = "mhub_cuda_open_backend_v4";

// A new back end (the caller owns it), or null with one line in reason.
using OpenBackend = Backend*(const BackendOptions* options, char (&reason)[kReasonBytes]);

}  // namespace mhub::kernels::cuda
