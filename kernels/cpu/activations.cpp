// SPDX-License-Identifier: Apache-2.0
#include "activations.h"

#include <algorithm>
#include <array>

namespace mhub::kernels::cpu {
namespace {

constexpr int64_t kWorthThreads = 32768;
constexpr std::array<int64_t, 8> kWidths = {1, 2, 3, 4, 6, 8, 12, 16};  // those that packed() has kernels for

template <class T>
void grow(std::vector<T>& v, int64_t size) {
  if (v.size() < static_cast<size_t>(size)) v.resize(static_cast<size_t>(size));
}

}  // namespace

int64_t Activations::width_of(int64_t tile) const {
  const int64_t left = std::min(tokens_ - tile * tile_tokens(), tile_tokens());
  return *std::lower_bound(kWidths.begin(), kWidths.end(), left);
}

void Activations::load(TensorView x, Form form) {
  form_ = form;
  tokens_ = x.rows;
  blocks_ = (x.cols + kBlockCols - 1) / kBlockCols;
  tiles_ = (tokens_ + tile_tokens() - 1) / tile_tokens();
  used_terms_ = 0;
  const int64_t padded = (tiles_ - 1) * tile_tokens() + width_of(tiles_ - 1);
  if (form == Form::kQuantized) {
    grow(quantized_, padded * blocks_ * kBlockCols);
    grow(scales_, padded * blocks_);
    grow(sums_, padded * blocks_ * 2);
  } else {
    grow(floats_, padded * blocks_ * kBlockCols);
  }
  const auto row = [&](int64_t token) { form == Form::kQuantized ? quantize(x, token) : interleave(x, token); };
  if (padded * x.cols < kWorthThreads) {
    for (int64_t token = 0; token < padded; ++token) row(token);
    return;
  }
  const int64_t step = std::max<int64_t>(1, 16384 / x.cols);
  pool_.run((padded + step - 1) / step, [&](int64_t chunk, int) {
    for (int64_t token = chunk * step; token < std::min(padded, (chunk + 1) * step); ++token) row(token);
  });
}

void Activations::quantize(TensorView x, int64_t token) {
  const int64_t tile = token / tile_tokens(), lane = token % tile_tokens(), width = width_of(tile);
  const int64_t first = tile * tile_tokens();
  QuantizeRow row{};
  row.q = quantized_.data() + first * blocks_ * kBlockCols + lane * kBlockCols;
  row.q_step = width * kBlockCols;
  row.scale = scales_.data() + first * blocks_ + lane;
  row.sums = sums_.data() + first * blocks_ * 2 + lane;
  row.step = width;
  if (token < tokens_) {
    row.x = x.f32_row(token);
    row.k = x.cols;
    isa_.quantize(row);
    return;
  }
  for (int64_t b = 0; b < blocks_; ++b) {  // a lane that pads the tile
    std::fill_n(row.q + b * row.q_step, kBlockCols, int8_t{0});
    row.scale[b * width] = 0.0f;
    row.sums[2 * b * width] = row.sums[(2 * b + 1) * width] = 0;
  }
}

void Activations::interleave(TensorView x, int64_t token) {
  const int64_t tile = token / tile_tokens(), lane = token % tile_tokens(), width = width_of(tile);
  float* to = floats_.data() + tile * tile_tokens() * blocks_ * kBlockCols + lane;
  const int64_t filled = token < tokens_ ? x.cols : 0;
  for (int64_t k = 0; k < filled; ++k) to[k * width] = x.f32_row(token)[k];
  for (int64_t k = filled; k < blocks_ * kBlockCols; ++k) to[k * width] = 0.0f;
}

size_t Activations::terms_for(const PackedLayout& layout) {
  if (form_ == Form::kFloat) return 0;
  const int64_t columns = scale_cols(layout.scales);
  const int32_t factor = (unpacked_bits(layout.codes) == 8 && isa_.signed_eight ? 128 : 0) - layout.offset;
  for (size_t i = 0; i < used_terms_; ++i) {
    if (terms_[i].factor == factor && terms_[i].columns == columns) return i;
  }
  if (used_terms_ == terms_.size()) terms_.emplace_back();
  Terms& terms = terms_[used_terms_];
  terms.factor = factor;
  terms.columns = columns;
  const int64_t halves = columns == 16 ? 2 : 1;
  const int64_t padded = (tiles_ - 1) * tile_tokens() + width_of(tiles_ - 1);
  grow(terms.starts, padded * blocks_ * halves);
  grow(terms.sums, padded * blocks_ * halves);
  for (int64_t tile = 0; tile < tiles_; ++tile) {
    const int64_t first = tile * tile_tokens() * blocks_, width = width_of(tile);
    const int32_t* sums = sums_.data() + first * 2;
    const float* scales = scales_.data() + first;
    int32_t* starts = terms.starts.data() + first * halves;
    float* scaled = terms.sums.data() + first * halves;
    for (int64_t b = 0; b < blocks_; ++b) {
      for (int64_t i = 0; i < width; ++i) {
        const int32_t low = sums[2 * b * width + i], high = sums[(2 * b + 1) * width + i];
        const float scale = scales[b * width + i];
        if (halves == 1) {
          starts[b * width + i] = factor * (low + high);
          scaled[b * width + i] = scale * static_cast<float>(low + high);
        } else {
          starts[2 * b * width + i] = factor * low;
          starts[(2 * b + 1) * width + i] = factor * high;
          scaled[2 * b * width + i] = scale * static_cast<float>(low);
          scaled[(2 * b + 1) * width + i] = scale * static_cast<float>(high);
        }
      }
    }
  }
  return used_terms_++;
}

void Activations::tile(int64_t index, const PackedLayout& layout, size_t terms, PackedTile& to) const {
  const int64_t first = index * tile_tokens() * blocks_;
  to.width = width_of(index);
  to.tokens = std::min(tokens_ - index * tile_tokens(), tile_tokens());
  if (form_ == Form::kFloat) {
    to.floats = floats_.data() + first * kBlockCols;
    return;
  }
  const int64_t halves = kBlockCols / scale_cols(layout.scales);
  to.floats = nullptr;
  to.activations = quantized_.data() + first * kBlockCols;
  to.activation_scales = scales_.data() + first;
  to.starts = terms_[terms].starts.data() + first * halves;
  to.activation_sums = terms_[terms].sums.data() + first * halves;
}

}  // namespace mhub::kernels::cpu
