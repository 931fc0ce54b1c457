// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "mhub/kernels/matrix.h"
#include "packed_layout.h"

namespace mhub::kernels::cpu {

// The layout that holds a matrix exactly; nullopt where none does (float types, groups that are no multiple of 32).
std::optional<PackedLayout> layout_of(const MatrixSource& source);

// Writes rows [16 * panel, 16 * panel + 16) of the source to `to` (panel_bytes(layout)); rows past the end are zero.
void pack_panel(const MatrixSource& source, const PackedLayout& layout, int64_t panel, uint8_t* to);

// Decodes row `lane` of a panel: the same float32 values as dequantize_rows.
void decode_panel_row(const PackedLayout& layout, const uint8_t* panel, int64_t lane, int64_t cols, float* out);

}  // namespace mhub::kernels::cpu
