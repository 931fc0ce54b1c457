// SPDX-License-Identifier: Apache-2.0
// One attention tile with online softmax. Keys lie transposed in their block, so that scores of consecutive positions
// fill a vector; values lie row by row, so that a head's elements do. No horizontal sums but one per row and chunk.
// Only the rows of a latent cache, which are keys and values at once, are summed across.
#pragma once

#include "ops_rows.h"

namespace mhub::kernels::cpu {
namespace {

// scores[r][i] = sum_d q[r][d] * keys[d][i], i < n <= V::kWidth.
template <class V, class Load, int R>
void score_block(const float* q, int64_t head_dim, const typename Load::Element* keys, int64_t key_stride, int64_t n,
                 float* scores) {
  constexpr int kSplit = R <= 2 ? 4 : R <= 4 ? 2 : 1;  // independent sums hide the latency of few rows
  V sum[kSplit][R];
  for (int s = 0; s < kSplit; ++s) {
    for (int r = 0; r < R; ++r) sum[s][r] = V::set(0.0f);
  }
  const auto add = [&](int s, int64_t d) {
    const V k = n == V::kWidth ? Load::load(keys + d * key_stride) : Load::load_n(keys + d * key_stride, n);
    for (int r = 0; r < R; ++r) sum[s][r] = fma(V::set(q[r * head_dim + d]), k, sum[s][r]);
  };
  int64_t d = 0;
  for (; d + kSplit <= head_dim; d += kSplit) {
    for (int s = 0; s < kSplit; ++s) add(s, d + s);
  }
  for (; d < head_dim; ++d) add(0, d);
  for (int r = 0; r < R; ++r) {
    for (int s = 1; s < kSplit; ++s) sum[0][r] = sum[0][r] + sum[s][r];
    sum[0][r].store_n(scores + r * kAttentionChunk, n);
  }
}

// scores[r][i] = q[r] . rows[i], i < C.
template <class V, class Load, int R, int C>
void score_latent(const float* q, int64_t dim, const uint8_t* const* rows, float* scores) {
  V sum[R][C];
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) sum[r][c] = V::set(0.0f);
  }
  for_each_vector<V>(dim, [&](int64_t d, int64_t w) {
    V k[C];
    for (int c = 0; c < C; ++c) k[c] = Load::load_n(reinterpret_cast<const typename Load::Element*>(rows[c]) + d, w);
    for (int r = 0; r < R; ++r) {
      const V x = V::load_n(q + r * dim + d, w);
      for (int c = 0; c < C; ++c) sum[r][c] = fma(x, k[c], sum[r][c]);
    }
  });
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) scores[r * kAttentionChunk + c] = sum[r][c].reduce_add();
  }
}

// out[r][d .. d + n) += sum_i weights[r][i] * values[i][d .. d + n), C vectors wide.
template <class V, class Load, int R, int C>
void value_block(float* out, int64_t head_dim, const float* weights, const uint8_t* const* values, int64_t count,
                 int64_t d, int64_t n) {
  V sum[R][C];
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) sum[r][c] = V::load_n(out + r * head_dim + d + c * V::kWidth, n - c * V::kWidth);
  }
  for (int64_t i = 0; i < count; ++i) {
    const auto* row = reinterpret_cast<const typename Load::Element*>(values[i]) + d;
    V v[C];
    for (int c = 0; c < C; ++c) {
      v[c] = n == C * V::kWidth ? Load::load(row + c * V::kWidth) : Load::load_n(row, n);
    }
    for (int r = 0; r < R; ++r) {
      const V p = V::set(weights[r * kAttentionChunk + i]);
      for (int c = 0; c < C; ++c) sum[r][c] = fma(p, v[c], sum[r][c]);
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) sum[r][c].store_n(out + r * head_dim + d + c * V::kWidth, n - c * V::kWidth);
  }
}

template <class V, class Load, int R>
void value_rows(float* out, int64_t head_dim, const float* weights, const uint8_t* const* values, int64_t count) {
  int64_t d = 0;
  constexpr int kWide = 4 * R <= 3 * V::kRowTile ? 4 : 2;  // what the registers hold
  for (; d + kWide * V::kWidth <= head_dim; d += kWide * V::kWidth)
    value_block<V, Load, R, kWide>(out, head_dim, weights, values, count, d, kWide * V::kWidth);
  for (; d < head_dim; d += V::kWidth)
    value_block<V, Load, R, 1>(out, head_dim, weights, values, count, d, least(V::kWidth, head_dim - d));
}

// Calls f.template operator()<R>(first row) over all rows: R = V::kRowTile while it fits, then what is left.
template <int R, class F>
void for_last_rows(int64_t rows, int64_t first, F f) {
  if constexpr (R > 0) {
    if (rows - first == R) {
      f.template operator()<R>(first);
    } else {
      for_last_rows<R - 1>(rows, first, f);
    }
  }
}
template <class V, class F>
void for_row_tiles(int64_t rows, F f) {
  int64_t r = 0;
  for (; r + V::kRowTile <= rows; r += V::kRowTile) f.template operator()<V::kRowTile>(r);
  for_last_rows<V::kRowTile - 1>(rows, r, f);
}

template <class V, class Load>
class AttentionRun {
 public:
  explicit AttentionRun(const AttentionTile& tile)
      : t_(tile),
        rows_(tile.row_end - tile.row_begin),
        q_(tile.scratch),
        out_(q_ + kAttentionRows * tile.head_dim),
        scores_(out_ + kAttentionRows * tile.value_dim),
        maximum_(scores_ + kAttentionRows * kAttentionChunk),
        sum_(maximum_ + kAttentionRows) {}

  void run() {
    begin();
    const int64_t last = t_.first_position + (t_.row_end - 1) / t_.group;
    const int64_t end = least(t_.kv_end, last + 1);
    for (int64_t chunk = t_.kv_begin; chunk < end; chunk += kAttentionChunk) {
      const int64_t count = least(kAttentionChunk, end - chunk);
      t_.latent ? score_rows(chunk, count) : score(chunk, count);
      for (int64_t r = 0; r < rows_; ++r) soften(r, chunk, count);
      for_row_tiles<V>(rows_, [&]<int R>(int64_t r) {
        value_rows<V, Load, R>(out_ + r * t_.value_dim, t_.value_dim, scores_ + r * kAttentionChunk, values_, count);
      });
    }
    finish();
  }

 private:
  static constexpr float kLowest = -3.0e38f;

  int64_t token(int64_t r) const { return (t_.row_begin + r) / t_.group; }
  int64_t head(int64_t r) const { return (t_.row_begin + r) % t_.group; }

  void begin() {
    const V scale = V::set(t_.scale), zero = V::set(0.0f);
    for (int64_t r = 0; r < rows_; ++r) {
      maximum_[r] = kLowest;
      sum_[r] = 0.0f;
      const float* q = t_.q + token(r) * t_.q_stride + head(r) * t_.head_dim;
      for_each_vector<V>(t_.head_dim, [&](int64_t i, int64_t w) {
        (V::load_n(q + i, w) * scale).store_n(q_ + r * t_.head_dim + i, w);
      });
      for_each_vector<V>(t_.value_dim, [&](int64_t i, int64_t w) { zero.store_n(out_ + r * t_.value_dim + i, w); });
    }
  }

  void score(int64_t chunk, int64_t count) {
    using Element = typename Load::Element;
    for (int64_t i = 0; i < count;) {
      const int64_t position = chunk + i, in_block = position % t_.block_size;
      const uint8_t* block = t_.kv + t_.block_table[position / t_.block_size] * t_.block_stride;
      const int64_t n = least(least(V::kWidth, t_.block_size - in_block), count - i);
      const Element* keys = reinterpret_cast<const Element*>(block) + in_block;
      for (int64_t j = 0; j < n; ++j) {
        values_[i + j] =
            block + t_.value_offset + (in_block + j) * t_.value_dim * static_cast<int64_t>(sizeof(Element));
      }
      for_row_tiles<V>(rows_, [&]<int R>(int64_t r) {
        score_block<V, Load, R>(q_ + r * t_.head_dim, t_.head_dim, keys, t_.block_size, n,
                                scores_ + r * kAttentionChunk + i);
      });
      i += n;
    }
  }

  // score() over a latent cache.
  void score_rows(int64_t chunk, int64_t count) {
    using Element = typename Load::Element;
    const uint8_t* rows[kAttentionChunk];
    for (int64_t i = 0; i < count; ++i) {
      const int64_t position = chunk + i;
      const uint8_t* block = t_.kv + t_.block_table[position / t_.block_size] * t_.block_stride;
      rows[i] = block + position % t_.block_size * t_.head_dim * static_cast<int64_t>(sizeof(Element));
      values_[i] = rows[i] + t_.value_offset;
    }
    constexpr int kColumns = 2;
    for_row_tiles<V>(rows_, [&]<int R>(int64_t r) {
      const float* q = q_ + r * t_.head_dim;
      float* scores = scores_ + r * kAttentionChunk;
      int64_t i = 0;
      for (; i + kColumns <= count; i += kColumns)
        score_latent<V, Load, R, kColumns>(q, t_.head_dim, rows + i, scores + i);
      for (; i < count; ++i) score_latent<V, Load, R, 1>(q, t_.head_dim, rows + i, scores + i);
    });
  }

  // Turns row r's scores into weights relative to its new maximum and rescales what it has summed so far.
  void soften(int64_t r, int64_t chunk, int64_t count) {
    const int64_t limit = t_.first_position + token(r) + 1 - chunk;
    const int64_t last = limit < 0 ? 0 : least(count, limit);
    const int64_t first = t_.window > 0 && limit > t_.window ? least(limit - t_.window, count) : 0;
    float* s = scores_ + r * kAttentionChunk;
    for (int64_t i = 0; i < first; ++i) s[i] = 0.0f;
    for (int64_t i = last; i < count; ++i) s[i] = 0.0f;
    s += first;
    const int64_t visible = last - first;
    if (visible <= 0) return;
    if (t_.soft_cap > 0.0f) soft_cap_row<V>(s, t_.soft_cap, visible);
    float top = maximum_[r];
    for_each_vector<V>(visible, [&](int64_t i, int64_t w) {
      if (w == V::kWidth) {
        const float m = V::load(s + i).reduce_max();
        top = m > top ? m : top;
      } else {
        for (int64_t j = i; j < i + w; ++j) top = s[j] > top ? s[j] : top;
      }
    });
    const float rescale = maximum_[r] == kLowest ? 0.0f : exp(V::set(maximum_[r] - top)).first();
    V sum = V::set(0.0f);
    float tail = 0.0f;
    for_each_vector<V>(visible, [&](int64_t i, int64_t w) {
      const V p = exp(V::load_n(s + i, w) - V::set(top));
      p.store_n(s + i, w);
      if (w == V::kWidth) {
        sum = sum + p;
      } else {
        for (int64_t j = i; j < i + w; ++j) tail += s[j];
      }
    });
    sum_[r] = sum_[r] * rescale + sum.reduce_add() + tail;
    if (maximum_[r] != top) {
      const V factor = V::set(rescale);
      float* out = out_ + r * t_.value_dim;
      for_each_vector<V>(t_.value_dim,
                         [&](int64_t i, int64_t w) { (V::load_n(out + i, w) * factor).store_n(out + i, w); });
    }
    maximum_[r] = top;
  }

  void finish() {
    for (int64_t r = 0; r < rows_; ++r) {
      const V factor = V::set(t_.partial == nullptr ? share(r) : 1.0f);
      float* out = t_.partial == nullptr ? t_.out + token(r) * t_.out_stride + head(r) * t_.value_dim
                                         : t_.result + r * t_.value_dim;
      for_each_vector<V>(t_.value_dim, [&](int64_t i, int64_t w) {
        (V::load_n(out_ + r * t_.value_dim + i, w) * factor).store_n(out + i, w);
      });
      if (t_.partial == nullptr) continue;
      t_.partial[2 * r] = maximum_[r];
      t_.partial[2 * r + 1] = sum_[r];
    }
  }

  // What row r's sum of weighted values is multiplied by.
  float share(int64_t r) const {
    if (sum_[r] <= 0.0f) return 1.0f;
    if (t_.sinks == nullptr) return 1.0f / sum_[r];
    const float sink = t_.sinks[head(r)];
    if (sink <= maximum_[r]) return 1.0f / (sum_[r] + exp(V::set(sink - maximum_[r])).first());
    const float own = exp(V::set(maximum_[r] - sink)).first();
    return own / (sum_[r] * own + 1.0f);
  }

  const AttentionTile& t_;
  int64_t rows_;
  float *q_, *out_, *scores_, *maximum_, *sum_;
  const uint8_t* values_[kAttentionChunk];
};

template <class V>
void attention(const AttentionTile& tile) {
  switch (tile.kv_dtype) {
    case DType::kF16:
      return AttentionRun<V, AsF16<V>>(tile).run();
    case DType::kBF16:
      return AttentionRun<V, AsBF16<V>>(tile).run();
    default:
      return AttentionRun<V, AsF32<V>>(tile).run();
  }
}

}  // namespace
}  // namespace mhub::kernels::cpu
