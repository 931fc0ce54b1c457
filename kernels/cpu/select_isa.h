// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "isa.h"

namespace mhub::kernels::cpu {

// The best instruction set of this machine, or the forced one. Throws BackendError on a name that is unknown or that
// this machine cannot run.
const Isa& select_isa(std::string_view forced);

}  // namespace mhub::kernels::cpu
