// SPDX-License-Identifier: Apache-2.0
// Products with packed weights: one integer and one float kernel behind all formats. A block's codes are unpacked into
// eight registers once for all tokens of a tile.
#pragma once

#include "isa.h"
#include "ops_rows.h"
#include "packed_layout.h"
#include "unpack.h"

namespace mhub::kernels::cpu {
namespace {

// Panels follow each other in memory and are read once from start to end when there are few tokens; the hardware's
// prefetchers stop at page borders, so ask for what comes kAhead bytes later.
constexpr int64_t kAhead = 2048;
template <int64_t kBytes>
void prefetch_ahead(const uint8_t* p) {
  for (int64_t i = 0; i < kBytes; i += 64) __builtin_prefetch(p + kAhead + i);
}

template <class V, int kTokens>
void store_tile(const PackedTile& t, const V (&sum)[kTokens], int64_t lane) {
  const int64_t n = least(V::kWidth, t.rows - lane);
  if (n <= 0) return;
  const V bias = t.bias == nullptr ? V::set(0.0f) : V::load_n(t.bias + lane, n);
  for (int i = 0; i < kTokens; ++i) {
    if (i < t.tokens) (sum[i] + bias).store_n(t.out + i * t.out_stride + lane, n);
  }
}

template <class V, class I, Codes kCodes, bool kMin, int kSub, int kTokens>
void packed_int(const PackedTile& t) {
  constexpr int kBits = unpacked_bits(kCodes), kParts = 32 / kSub, kChunks = kSub / 4;
  for (int64_t lane = 0; lane < kPanelRows; lane += V::kWidth) {
    V sum[kTokens];
    for (int i = 0; i < kTokens; ++i) sum[i] = V::set(0.0f);
    const uint8_t* lines = t.codes + lane * 4;
    const int8_t* a = t.activations;
    const float* a_scale = t.activation_scales;
    const float *scale = t.scale + lane, *minimum = t.minimum + lane;
    const int32_t* start = t.starts;
    const float* a_sum = t.activation_sums;
    for (int64_t block = 0; block < t.blocks; ++block) {
      if constexpr (kTokens <= 4) prefetch_ahead<code_bytes(kCodes)>(lines);
      I chunk[8];
      unpack<I, kCodes>(lines, chunk);
      for (int part = 0; part < kParts; ++part) {
        const V d = V::load(scale);
#pragma GCC unroll 16
        for (int i = 0; i < kTokens; ++i) {
          const I first = I::set(kMin && !(kBits == 8 && I::kSignedEight) ? 0 : start[i]);
          const I dot = I::template dot<kChunks, kBits>(chunk + part * kChunks, a + 32 * i + part * kSub, first);
          sum[i] = fma(dot.to_float(), d * V::set(a_scale[i]), sum[i]);
        }
        if constexpr (kMin) {
          const V m = V::load(minimum);
#pragma GCC unroll 16
          for (int i = 0; i < kTokens; ++i) sum[i] = fma(m, V::set(a_sum[i]), sum[i]);
          minimum += kPanelRows;
          a_sum += kTokens;
        }
        scale += kPanelRows;
        start += kTokens;
      }
      lines += code_bytes(kCodes);
      a += 32 * kTokens;
      a_scale += kTokens;
    }
    store_tile<V, kTokens>(t, sum, lane);
  }
}

template <class V, class I, Codes kCodes, bool kMin, int kSub, int kTokens>
void packed_float(const PackedTile& t) {
  const V offset = V::set(static_cast<float>(t.offset));
  for (int64_t lane = 0; lane < kPanelRows; lane += V::kWidth) {
    V sum[kTokens];
    for (int i = 0; i < kTokens; ++i) sum[i] = V::set(0.0f);
    const uint8_t* lines = t.codes + lane * 4;
    const float* x = t.floats;
    const float *scale = t.scale + lane, *minimum = t.minimum + lane;
    for (int64_t block = 0; block < t.blocks; ++block) {
      I chunk[8];
      unpack<I, kCodes>(lines, chunk);
      lines += code_bytes(kCodes);
      for (int c = 0; c < 8; ++c) {
        if (c % (kSub / 4) == 0 && (block > 0 || c > 0)) {
          scale += kPanelRows;
          minimum += kMin ? kPanelRows : 0;
        }
        const V d = V::load(scale);
        const auto column = [&]<int j>() {
          const V code = (chunk[c].template shifted<-8 * j>() & I::set(255)).to_float();
          const V w = kMin ? d * code + V::load(minimum) : d * (code - offset);
#pragma GCC unroll 16
          for (int i = 0; i < kTokens; ++i) sum[i] = fma(w, V::set(x[i]), sum[i]);
          x += kTokens;
        };
        column.template operator()<0>();
        column.template operator()<1>();
        column.template operator()<2>();
        column.template operator()<3>();
      }
    }
    store_tile<V, kTokens>(t, sum, lane);
  }
}

template <class V, class I, Codes kCodes, bool kMin, int kSub, int kTokens>
void packed_tile(const PackedTile& t) {
  if (t.floats == nullptr) {
    packed_int<V, I, kCodes, kMin, kSub, kTokens>(t);
  } else {
    packed_float<V, I, kCodes, kMin, kSub, kTokens>(t);
  }
}

template <class V, class I, Codes kCodes, bool kMin, int kSub>
void packed_width(const PackedTile& t) {
  if constexpr (V::kMaxTokens > 4) {
    switch (t.width) {
      case 6:
        return packed_tile<V, I, kCodes, kMin, kSub, 6>(t);
      case 8:
        return packed_tile<V, I, kCodes, kMin, kSub, 8>(t);
      case 12:
        return packed_tile<V, I, kCodes, kMin, kSub, 12>(t);
      case 16:
        return packed_tile<V, I, kCodes, kMin, kSub, 16>(t);
      default:
        break;
    }
  }
  switch (t.width) {
    case 1:
      return packed_tile<V, I, kCodes, kMin, kSub, 1>(t);
    case 2:
      return packed_tile<V, I, kCodes, kMin, kSub, 2>(t);
    case 3:
      return packed_tile<V, I, kCodes, kMin, kSub, 3>(t);
    default:
      return packed_tile<V, I, kCodes, kMin, kSub, 4>(t);
  }
}

template <class V, class I>
void packed(const PackedTile& t) {
  switch (t.codes_kind) {
    case Codes::k2:
      return packed_width<V, I, Codes::k2, true, 16>(t);
    case Codes::k3:
      return packed_width<V, I, Codes::k3, false, 16>(t);
    case Codes::k4:
      return t.has_minimum ? packed_width<V, I, Codes::k4, true, 32>(t) : packed_width<V, I, Codes::k4, false, 32>(t);
    case Codes::k5:
      return t.has_minimum ? packed_width<V, I, Codes::k5, true, 32>(t) : packed_width<V, I, Codes::k5, false, 32>(t);
    case Codes::k6:
      return packed_width<V, I, Codes::k6, false, 16>(t);
    case Codes::k8:
      return t.has_minimum ? packed_width<V, I, Codes::k8, true, 32>(t) : packed_width<V, I, Codes::k8, false, 32>(t);
    case Codes::kIq4:
      return packed_width<V, I, Codes::kIq4, false, 32>(t);
    case Codes::kFp4:
      return packed_width<V, I, Codes::kFp4, false, 32>(t);
  }
}

// Scales and minimums of a panel as float32 [sub-block][16].
template <class V>
void expand_scales(const PackedLayout& layout, const uint8_t* from, float* scale, float* minimum) {
  const auto half = [](const uint8_t* p) { return V::load_f16(reinterpret_cast<const uint16_t*>(p)); };
  const V zero = V::set(0.0f);
  for (int64_t i = 0; i < codes_offset(layout); i += 64) __builtin_prefetch(from + kAhead + i);
  for (int64_t lane = 0; lane < kPanelRows; lane += V::kWidth) {
    float *d = scale + lane, *m = minimum + lane;
    const uint8_t* p = from;
    switch (layout.scales) {
      case Scales::kHalf:
        for (int64_t b = 0; b < layout.blocks; ++b, d += kPanelRows, p += 32) half(p + 2 * lane).store(d);
        break;
      case Scales::kHalfMin:
        for (int64_t b = 0; b < layout.blocks; ++b, d += kPanelRows, m += kPanelRows, p += 64) {
          half(p + 2 * lane).store(d);
          half(p + 32 + 2 * lane).store(m);
        }
        break;
      case Scales::kSuper:
        for (int64_t b = 0; b < layout.blocks; b += kSuperBlocks) {
          const V super = half(p + 2 * lane), super_min = zero - half(p + 32 + 2 * lane);
          p += 64;
          for (int s = 0; s < 8; ++s, d += kPanelRows, m += kPanelRows, p += 32) {
            (super * V::load_u8(p + lane)).store(d);
            (super_min * V::load_u8(p + 16 + lane)).store(m);
          }
        }
        break;
      case Scales::kSuper16:
        for (int64_t b = 0; b < layout.blocks; b += kSuperBlocks) {
          const V super = half(p + 2 * lane);
          p += 32;
          for (int s = 0; s < 16; ++s, d += kPanelRows, p += 16) (super * V::load_i8(p + lane)).store(d);
        }
        break;
      case Scales::kSuper16Min:
        for (int64_t b = 0; b < layout.blocks; b += kSuperBlocks) {
          const V super = half(p + 2 * lane), super_min = zero - half(p + 32 + 2 * lane);
          p += 64;
          for (int s = 0; s < 16; ++s, d += kPanelRows, m += kPanelRows, p += 16) {
            uint8_t low[V::kWidth], high[V::kWidth];
            for (int i = 0; i < V::kWidth; ++i) {
              low[i] = p[lane + i] & 15;
              high[i] = p[lane + i] >> 4;
            }
            (super * V::load_u8(low)).store(d);
            (super_min * V::load_u8(high)).store(m);
          }
        }
        break;
      case Scales::kGroup:
      case Scales::kGroupZero:
        for (int64_t b = 0; b < layout.blocks; ++b, d += kPanelRows, m += kPanelRows) {
          const bool zeros = layout.scales == Scales::kGroupZero;
          const uint8_t* group = from + b / layout.group_blocks * (zeros ? 80 : 64);
          const V s = V::load(reinterpret_cast<const float*>(group) + lane);
          s.store(d);
          if (zeros) (zero - s * V::load_u8(group + 64 + lane)).store(m);
        }
        break;
    }
  }
}

// Quantizes one row to int8 with a scale per 32 columns; columns past k are zero. Block b goes to q + b * q_step,
// its scale to scale[b * step]; sums of 16 columns go to sums[2 * b * step] and sums[(2 * b + 1) * step].
template <class V>
void quantize_row(const QuantizeRow& r) {
  const int64_t blocks = (r.k + kBlockCols - 1) / kBlockCols;
  for (int64_t b = 0; b < blocks; ++b) {
    const float* x = r.x + b * kBlockCols;
    const int64_t n = least(kBlockCols, r.k - b * kBlockCols);
    constexpr int kVectors = 32 / V::kWidth;
    V v[kVectors], top = V::set(0.0f);
    for (int i = 0; i < kVectors; ++i) {
      const int64_t left = n - i * V::kWidth;
      v[i] = left > 0 ? V::load_n(x + i * V::kWidth, left) : V::set(0.0f);
      top = max(top, v[i].abs());
    }
    const float peak = top.reduce_max();
    const V inverse = V::set(peak > 0.0f ? 127.0f / peak : 0.0f);
    int8_t* q = r.q + b * r.q_step;
    for (int i = 0; i < kVectors; ++i) (v[i] * inverse).store_i8(q + i * V::kWidth);
    r.scale[b * r.step] = peak / 127.0f;
    int32_t sums[2] = {0, 0};
    for (int i = 0; i < 16; ++i) {
      sums[0] += q[i];
      sums[1] += q[16 + i];
    }
    r.sums[2 * b * r.step] = sums[0];
    r.sums[(2 * b + 1) * r.step] = sums[1];
  }
}

}  // namespace
}  // namespace mhub::kernels::cpu
