// SPDX-License-Identifier: Apache-2.0
// clang-format off: the vector type must be seen before the operations
#include "vec_avx512.h"
// clang-format on

#include "isa.h"
#include "ops_attention.h"
#include "ops_dot.h"
#include "ops_dot_bf16.h"
#include "ops_gated.h"
#include "ops_packed.h"
#include "ops_rows.h"

namespace mhub::kernels::cpu {

const Isa& avx512_isa() {
  static constexpr Isa isa = {
      .name = "avx512",
      .extras = "vnni, bf16",
      .max_tokens = Vec::kMaxTokens,
      .signed_eight = IntVec::kSignedEight,
      .rms_norm = rms_norm<Vec>,
      .add = add_row<Vec>,
      .add_scaled = add_scaled<Vec>,
      .scale = scale_row<Vec>,
      .soft_cap = soft_cap_row<Vec>,
      .silu_mul = silu_mul<Vec>,
      .gated = gated<Vec>,
      .rope = rope<Vec>,
      .store = store_as<Vec>,
      .dot = dot<Vec>,
      .attention = attention<Vec>,
      .packed = packed<Vec, IntVec>,
      .expand_scales = expand_scales<Vec>,
      .quantize = quantize_row<Vec>,
      .dot_bf16 = dot_bf16,
  };
  return isa;
}

}  // namespace mhub::kernels::cpu
