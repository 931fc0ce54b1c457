// SPDX-License-Identifier: Apache-2.0
#include "linear.h"

#include <algorithm>

namespace mhub::kernels::cpu {
namespace {
constexpr int64_t kTileRows = 16;
}

Linear::Linear(const Isa& isa, ThreadPool& pool)
    : isa_(isa), pool_(pool), decoded_(static_cast<size_t>(pool.num_threads())) {}

void Linear::run(TensorView out, TensorView x, const CpuWeight& weight, const float* bias) {
  int64_t first = 0;
  for (const auto& part : weight.parts()) {
    const int64_t rows = part->source().rows;
    run_source(out.cols_at(first, rows), x, *part, bias == nullptr ? nullptr : bias + first);
    first += rows;
  }
}

void Linear::run_source(TensorView out, TensorView x, const SourcePart& part, const float* bias) {
  const MatrixSource& w = part.source();
  const bool as_is = part.is_float();
  if (!as_is) {
    for (auto& tile : decoded_) tile.resize(static_cast<size_t>(std::max<int64_t>(kTileRows * w.cols, 1)));
  }
  pool_.run((w.rows + kTileRows - 1) / kTileRows, [&](int64_t chunk, int thread) {
    const int64_t first = chunk * kTileRows;
    DotTile tile{};
    tile.rows = std::min(kTileRows, w.rows - first);
    if (as_is) {
      tile.dtype = w.dtype;
      tile.w_row_bytes = w.cols * dtype_info(w.dtype).block_bytes;
      tile.w = static_cast<const uint8_t*>(w.data) + first * tile.w_row_bytes;
    } else {
      float* decoded = decoded_[static_cast<size_t>(thread)].data();
      dequantize_rows(w, first, tile.rows, decoded);
      tile.dtype = DType::kF32;
      tile.w_row_bytes = w.cols * 4;
      tile.w = reinterpret_cast<const uint8_t*>(decoded);
    }
    tile.x = x.f32();
    tile.x_stride = x.stride;
    tile.tokens = x.rows;
    tile.k = w.cols;
    tile.out = out.f32() + first;
    tile.out_stride = out.stride;
    tile.bias = bias == nullptr ? nullptr : bias + first;
    isa_.dot(tile);
  });
}

}  // namespace mhub::kernels::cpu
