// SPDX-License-Identifier: Apache-2.0
#include "isa.h"
#include "ops_attention.h"
#include "ops_dot.h"
#include "ops_rows.h"
#include "vec_scalar.h"

namespace mhub::kernels::cpu {

const Isa& scalar_isa() {
  static constexpr Isa isa = {"scalar",  rms_norm<Vec>, add_row<Vec>, silu_mul<Vec>,
                              rope<Vec>, store_as<Vec>, dot<Vec>,     attention<Vec>};
  return isa;
}

}  // namespace mhub::kernels::cpu
