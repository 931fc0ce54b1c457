// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "host.h"
#include "isa.h"
#include "mhub/kernels/backend.h"
#include "select_isa.h"

namespace mhub::kernels::cpu {

const Isa& select_isa(std::string_view forced) {
  if (forced.empty() || forced == "scalar") return scalar_isa();
  throw BackendError("no instruction set \"" + std::string(forced) + "\" (scalar, avx2, avx512)");
}

}  // namespace mhub::kernels::cpu
