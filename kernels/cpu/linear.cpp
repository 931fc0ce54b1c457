// SPDX-License-Identifier: Apache-2.0
#include "linear.h"

#include <algorithm>

namespace mhub::kernels::cpu {
namespace {

constexpr int64_t kChunksPerThread = 8;
constexpr int64_t kWorthThreads = 32768;          // products below which one thread is done before two have met
constexpr int64_t kTokenBlockBytes = 256 * 1024;  // int8 activations that stay in the second-level cache
constexpr int64_t kMostTokensOfBlock = 256;

int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

Linear::Linear(const Isa& isa, ThreadPool& pool, Compute compute)
    : isa_(isa),
      pool_(pool),
      compute_(compute),
      activations_(isa, pool),
      scratch_(static_cast<size_t>(pool.num_threads())) {}

void Linear::plan(const Call& call, std::span<const WeightPart> parts) {
  ranges_.clear();
  panels_ = 0;
  int64_t row = 0, sub_block_floats = 0;
  bool packed = false, narrow = false, decoded = false;
  for (const WeightPart& part : parts) {
    const int64_t rows = part_rows(part), panels = ceil_div(rows, kPanelRows);
    ranges_.push_back({&part, panels_, panels_ + panels, row, 0});
    panels_ += panels;
    row += rows;
    if (const auto* p = std::get_if<PackedPart>(&part)) {
      packed = true;
      sub_block_floats = std::max(sub_block_floats, sub_blocks(p->layout()) * kPanelRows);
    } else {
      const auto& source = std::get<SourcePart>(part);
      narrow |= source.is_float() && source.source().dtype == DType::kBF16;
      decoded |= !source.is_float();
    }
  }
  if (packed) {
    activations_.load(call.x, compute_ == Compute::kFast ? Activations::Form::kQuantized : Activations::Form::kFloat);
    for (Range& range : ranges_) {
      if (const auto* p = std::get_if<PackedPart>(range.part)) range.terms = activations_.terms_for(p->layout());
    }
  }
  narrow_.clear();
  if (narrow && compute_ == Compute::kFast && isa_.dot_bf16 != nullptr) {
    narrow_.resize(static_cast<size_t>(call.x.rows * call.x.cols));
    for (int64_t t = 0; t < call.x.rows; ++t)
      isa_.store(narrow_.data() + t * call.x.cols, DType::kBF16, 1, call.x.f32_row(t), call.x.cols);
  }
  for (Scratch& scratch : scratch_) {
    scratch.scale.resize(static_cast<size_t>(sub_block_floats));
    scratch.minimum.resize(static_cast<size_t>(sub_block_floats));
    if (decoded) scratch.decoded.resize(static_cast<size_t>(kPanelRows * call.x.cols));
  }
}

void Linear::run(TensorView out, TensorView x, std::span<const WeightPart> parts, const float* bias) {
  const Call call{out, x, bias};
  plan(call, parts);
  if (panels_ == 0) return;

  // Chunks are rectangles: a block of tokens whose activations stay in cache, by a run of panels.
  const int64_t tile = activations_.tile_tokens();
  const int64_t block_tokens =
      std::clamp(kTokenBlockBytes / std::max<int64_t>(x.cols, 1), tile, kMostTokensOfBlock) / tile * tile;
  const int64_t token_blocks = ceil_div(x.rows, block_tokens);
  int64_t panel_runs = 1;
  if (x.rows * out.cols * x.cols >= kWorthThreads)
    panel_runs = std::min(panels_, ceil_div(kChunksPerThread * pool_.num_threads(), token_blocks));
  pool_.run(panel_runs * token_blocks, [&](int64_t chunk, int thread) {
    Scratch& scratch = scratch_[static_cast<size_t>(thread)];
    const int64_t run = chunk / token_blocks, first_token = chunk % token_blocks * block_tokens;
    const int64_t tokens = std::min(block_tokens, x.rows - first_token);
    auto range = ranges_.begin();
    for (int64_t panel = panels_ * run / panel_runs; panel < panels_ * (run + 1) / panel_runs; ++panel) {
      while (panel >= range->last_panel) ++range;
      if (const auto* packed = std::get_if<PackedPart>(range->part)) {
        packed_panel(call, *packed, *range, panel - range->first_panel, first_token / tile,
                     ceil_div(first_token + tokens, tile), scratch);
      } else {
        source_panel(call, std::get<SourcePart>(*range->part), *range, panel - range->first_panel, first_token, tokens,
                     scratch);
      }
    }
  });
}

void Linear::packed_panel(const Call& call, const PackedPart& part, const Range& range, int64_t panel,
                          int64_t first_tile, int64_t last_tile, Scratch& scratch) {
  const PackedLayout& layout = part.layout();
  const int64_t row = range.first_row + panel * kPanelRows;
  PackedTile tile{};
  const uint8_t* scales = part.panel(panel);
  tile.codes = scales + codes_offset(layout);
  tile.codes_kind = layout.codes;
  tile.has_minimum = has_minimum(layout.scales);
  tile.offset = layout.offset;
  tile.blocks = layout.blocks;
  tile.scale = scratch.scale.data();
  tile.minimum = scratch.minimum.data();
  tile.out_stride = call.out.stride;
  tile.rows = std::min(kPanelRows, part.rows() - panel * kPanelRows);
  tile.bias = call.bias == nullptr ? nullptr : call.bias + row;
  isa_.expand_scales(layout, scales, scratch.scale.data(), scratch.minimum.data());
  for (int64_t i = first_tile; i < last_tile; ++i) {
    activations_.tile(i, layout, range.terms, tile);
    tile.out = call.out.f32_row(i * activations_.tile_tokens()) + row;
    isa_.packed(tile);
  }
}

void Linear::source_panel(const Call& call, const SourcePart& part, const Range& range, int64_t panel,
                          int64_t first_token, int64_t tokens, Scratch& scratch) {
  const MatrixSource& w = part.source();
  const int64_t first = panel * kPanelRows, row = range.first_row + first;
  DotTile tile{};
  tile.rows = std::min(kPanelRows, w.rows - first);
  if (part.is_float()) {
    tile.dtype = w.dtype;
    tile.w_row_bytes = w.cols * dtype_info(w.dtype).block_bytes;
    tile.w = static_cast<const uint8_t*>(w.data) + first * tile.w_row_bytes;
  } else {
    dequantize_rows(w, first, tile.rows, scratch.decoded.data());
    tile.dtype = DType::kF32;
    tile.w_row_bytes = w.cols * 4;
    tile.w = reinterpret_cast<const uint8_t*>(scratch.decoded.data());
  }
  tile.x = call.x.f32_row(first_token);
  tile.x_stride = call.x.stride;
  tile.tokens = tokens;
  tile.k = w.cols;
  tile.out = call.out.f32_row(first_token) + row;
  tile.out_stride = call.out.stride;
  tile.bias = call.bias == nullptr ? nullptr : call.bias + row;
  if (tile.dtype == DType::kBF16 && !narrow_.empty()) {
    isa_.dot_bf16(tile, narrow_.data() + first_token * w.cols);
  } else {
    isa_.dot(tile);
  }
}

}  // namespace mhub::kernels::cpu
