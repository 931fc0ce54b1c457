// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "host.h"
#include "isa.h"
#include "mhub/kernels/backend.h"
#include "select_isa.h"

namespace mhub::kernels::cpu {

const Isa& select_isa(std::string_view forced) {
  const CpuFeatures features = detect_features();
  if (forced == "scalar") return scalar_isa();
#if defined(__x86_64__)
  if (features.avx512 && (forced.empty() || forced == "avx512")) return avx512_isa();
  if (features.avx2 && (forced.empty() || forced == "avx2")) return avx2_isa();
#endif
  if (forced.empty()) return scalar_isa();
  throw BackendError("instruction set \"" + std::string(forced) +
                     "\" is unknown or missing on this CPU (known: scalar, avx2, avx512)");
}

}  // namespace mhub::kernels::cpu
