// SPDX-License-Identifier: Apache-2.0
#include "attention.h"

#include <algorithm>
#include <cmath>

namespace mhub::kernels::cpu {
namespace {
constexpr int64_t kSplitContext = 512;  // a split takes at least this many positions
}

Attention::Attention(const Isa& isa, ThreadPool& pool)
    : isa_(isa), pool_(pool), scratch_(static_cast<size_t>(pool.num_threads())) {}

void Attention::plan(const AttentionMetadata& metadata, int64_t window, int64_t kv_heads, int64_t group) {
  items_.clear();
  splits_ = 0;
  const int64_t sequences = static_cast<int64_t>(metadata.seq_lens.size());
  const int64_t threads = pool_.num_threads();
  for (int32_t s = 0; s < sequences; ++s) {
    const size_t index = static_cast<size_t>(s);
    const int64_t tokens = metadata.cu_seqlens_q[index + 1] - metadata.cu_seqlens_q[index];
    const int64_t context = metadata.seq_lens[index], rows = tokens * group;
    const int64_t tiles = (rows + kAttentionRows - 1) / kAttentionRows;
    for (int32_t head = 0; head < kv_heads; ++head) {
      for (int64_t row = 0; row < rows; row += kAttentionRows) {
        // Chunks start at the same positions whatever the step holds, so that a row's sums round alike in all of them.
        const int64_t oldest = context - tokens + row / group + 1 - window;
        const int64_t start = window > 0 && oldest > 0 ? oldest / kAttentionChunk * kAttentionChunk : 0;
        const int64_t span = std::max<int64_t>(context - start, 1);
        int64_t parts = 1;
        if (threads > 1 && sequences * tiles * kv_heads < 4 * threads)
          parts = std::clamp<int64_t>(span / kSplitContext, 1, 4 * threads);
        const int64_t step = ((span + parts - 1) / parts + kAttentionChunk - 1) / kAttentionChunk * kAttentionChunk;
        for (int64_t begin = start; begin < start + span; begin += step) {
          items_.push_back({s, head, static_cast<int32_t>(row),
                            static_cast<int32_t>(std::min(row + kAttentionRows, rows)), static_cast<int32_t>(begin),
                            static_cast<int32_t>(std::min(begin + step, context)), begin == start,
                            parts > 1 ? splits_++ : -1});
        }
      }
    }
  }
}

void Attention::run(TensorView out, TensorView q, const AttentionMetadata& metadata, const AttentionOptions& options,
                    const CpuKvCache& cache, int64_t layer) {
  const KvShape& shape = cache.shape();
  const int64_t head_dim = shape.head_dim, value_dim = shape.value_dim();
  const int64_t group = q.cols / (shape.num_kv_heads * head_dim);
  plan(metadata, options.window, shape.num_kv_heads, group);
  for (auto& scratch : scratch_) scratch.resize(static_cast<size_t>(attention_scratch_floats(head_dim, value_dim)));
  partial_out_.resize(static_cast<size_t>(splits_ * kAttentionRows * value_dim));
  partial_sums_.resize(static_cast<size_t>(splits_ * kAttentionRows * 2));

  const auto run_item = [&](int64_t index, int thread) {
    const Item& item = items_[static_cast<size_t>(index)];
    const size_t s = static_cast<size_t>(item.sequence);
    const int64_t first_row = metadata.cu_seqlens_q[s], tokens = metadata.cu_seqlens_q[s + 1] - first_row;
    const int64_t first_head = item.head * group;
    AttentionTile tile{};
    tile.q = q.f32_row(first_row) + first_head * head_dim;
    tile.q_stride = q.stride;
    tile.out = out.f32_row(first_row) + first_head * value_dim;
    tile.out_stride = out.stride;
    tile.group = group;
    tile.head_dim = head_dim;
    tile.value_dim = value_dim;
    tile.window = options.window;
    tile.soft_cap = options.soft_cap;
    tile.sinks = options.sinks == nullptr ? nullptr : options.sinks + first_head;
    tile.latent = cache.latent();
    tile.row_begin = item.row_begin;
    tile.row_end = item.row_end;
    tile.first_position = metadata.seq_lens[s] - tokens;
    tile.kv_begin = item.kv_begin;
    tile.kv_end = item.kv_end;
    tile.kv = cache.head_base(layer, item.head);
    tile.block_stride = cache.block_stride();
    tile.value_offset = cache.values_offset();
    tile.block_size = shape.block_size;
    tile.kv_dtype = cache.dtype();
    tile.block_table = metadata.block_tables.data() + item.sequence * metadata.max_blocks;
    tile.scale = options.scale;
    tile.scratch = scratch_[static_cast<size_t>(thread)].data();
    if (item.split >= 0) {
      tile.result = partial_out_.data() + item.split * kAttentionRows * value_dim;
      tile.partial = partial_sums_.data() + item.split * kAttentionRows * 2;
    }
    isa_.attention(tile);
  };
  pool_.run(static_cast<int64_t>(items_.size()), run_item);
  if (splits_ > 0) merge(out, metadata, options.sinks, group, value_dim);
}

void Attention::merge(TensorView out, const AttentionMetadata& metadata, const float* sinks, int64_t group,
                      int64_t value_dim) {
  for (size_t first = 0; first < items_.size();) {
    const Item& item = items_[first];
    size_t last = first + 1;
    while (last < items_.size() && !items_[last].first_part) ++last;
    for (int64_t r = 0; item.split >= 0 && r < item.row_end - item.row_begin; ++r) {
      const auto sums = [&](size_t i) {
        return &partial_sums_[static_cast<size_t>((items_[i].split * kAttentionRows + r) * 2)];
      };
      float top = sums(first)[0], total = 0.0f;
      for (size_t i = first; i < last; ++i) top = std::max(top, sums(i)[0]);
      const int64_t row = item.row_begin + r, head = item.head * group + row % group;
      if (sinks != nullptr) {
        top = std::max(top, sinks[head]);
        total = std::exp(sinks[head] - top);
      }
      for (size_t i = first; i < last; ++i) total += sums(i)[1] * std::exp(sums(i)[0] - top);
      float* to =
          out.f32_row(metadata.cu_seqlens_q[static_cast<size_t>(item.sequence)] + row / group) + head * value_dim;
      std::fill(to, to + value_dim, 0.0f);
      for (size_t i = first; i < last; ++i) {
        const float factor = std::exp(sums(i)[0] - top) / total;
        const float* from = partial_out_.data() + (items_[i].split * kAttentionRows + r) * value_dim;
        for (int64_t d = 0; d < value_dim; ++d) to[d] += factor * from[d];
      }
    }
    first = last;
  }
}

}  // namespace mhub::kernels::cpu
