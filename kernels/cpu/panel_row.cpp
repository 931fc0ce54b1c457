// SPDX-License-Identifier: Apache-2.0
// Single rows out of a packed panel, for embedding tables.
#include <algorithm>

#include "mhub/kernels/half.h"
#include "packing.h"
#include "unpack.h"

namespace mhub::kernels::cpu {
namespace {

// One lane of unpack()'s vectors.
struct Lane {
  uint32_t v;
  static Lane set(int x) { return {static_cast<uint32_t>(x)}; }
  static Lane load(const uint8_t* p) { return {load_unaligned<uint32_t>(p)}; }
  template <int kBits>
  Lane shifted() const {
    return {kBits > 0 ? v << (kBits & 31) : v >> (-kBits & 31)};
  }
  Lane lookup(const uint8_t* table) const {
    uint32_t word = 0;
    for (int b = 0; b < 4; ++b) word |= static_cast<uint32_t>(table[v >> (8 * b) & 15]) << (8 * b);
    return {word};
  }
  friend Lane operator&(Lane a, Lane b) { return {a.v & b.v}; }
  friend Lane operator|(Lane a, Lane b) { return {a.v | b.v}; }
};

void unpack_lane(Codes codes, const uint8_t* lines, Lane (&chunk)[8]) {
  switch (codes) {
    case Codes::k2:
      return unpack<Lane, Codes::k2>(lines, chunk);
    case Codes::k3:
      return unpack<Lane, Codes::k3>(lines, chunk);
    case Codes::k4:
      return unpack<Lane, Codes::k4>(lines, chunk);
    case Codes::k5:
      return unpack<Lane, Codes::k5>(lines, chunk);
    case Codes::k6:
      return unpack<Lane, Codes::k6>(lines, chunk);
    case Codes::k8:
      return unpack<Lane, Codes::k8>(lines, chunk);
    case Codes::kIq4:
      return unpack<Lane, Codes::kIq4>(lines, chunk);
    case Codes::kFp4:
      return unpack<Lane, Codes::kFp4>(lines, chunk);
  }
}

// value = scale * (code - offset) + minimum
struct SubScale {
  float scale, minimum;
  int32_t offset;
};

SubScale sub_scale(const PackedLayout& layout, const uint8_t* scales, int64_t lane, int64_t block, int part) {
  const auto half = [lane](const uint8_t* p) { return float_from_f16(load_unaligned<uint16_t>(p + 2 * lane)); };
  const int64_t super = block / kSuperBlocks, inside = block % kSuperBlocks;
  switch (layout.scales) {
    case Scales::kHalf:
      return {half(scales + 32 * block), 0.0f, layout.offset};
    case Scales::kHalfMin:
      return {half(scales + 64 * block), half(scales + 64 * block + 32), 0};
    case Scales::kSuper: {
      const uint8_t* p = scales + super * (64 + 8 * 32);
      const uint8_t* s = p + 64 + 32 * inside + lane;
      return {half(p) * static_cast<float>(s[0]), -(half(p + 32) * static_cast<float>(s[16])), 0};
    }
    case Scales::kSuper16: {
      const uint8_t* p = scales + super * (32 + 16 * 16);
      const auto s = static_cast<int8_t>(p[32 + 16 * (2 * inside + part) + lane]);
      return {half(p) * static_cast<float>(s), 0.0f, layout.offset};
    }
    case Scales::kSuper16Min: {
      const uint8_t* p = scales + super * (64 + 16 * 16);
      const uint8_t s = p[64 + 16 * (2 * inside + part) + lane];
      return {half(p) * static_cast<float>(s & 15), -(half(p + 32) * static_cast<float>(s >> 4)), 0};
    }
    case Scales::kGroup:
      return {load_unaligned<float>(scales + 64 * (block / layout.group_blocks) + 4 * lane), 0.0f, layout.offset};
    case Scales::kGroupZero: {
      const uint8_t* p = scales + 80 * (block / layout.group_blocks);
      return {load_unaligned<float>(p + 4 * lane), 0.0f, p[64 + lane]};
    }
  }
  return {};
}

}  // namespace

void decode_panel_row(const PackedLayout& layout, const uint8_t* panel, int64_t lane, int64_t cols, float* out) {
  const uint8_t* scales = panel;
  const uint8_t* codes = panel + codes_offset(layout);
  const int parts = static_cast<int>(kBlockCols / scale_cols(layout.scales)), width = 32 / parts;
  for (int64_t block = 0; block < layout.blocks; ++block) {
    Lane chunk[8];
    unpack_lane(layout.codes, codes + block * code_bytes(layout.codes) + 4 * lane, chunk);
    for (int part = 0; part < parts; ++part) {
      const SubScale s = sub_scale(layout, scales, lane, block, part);
      const int64_t first = block * kBlockCols + part * width, count = std::min<int64_t>(width, cols - first);
      for (int i = 0; i < count; ++i) {
        const int e = part * width + i;
        const int code = static_cast<int>((chunk[e / 4].v >> (8 * (e % 4))) & 255) - s.offset;
        out[first + i] = s.scale * static_cast<float>(code) + s.minimum;
      }
    }
  }
}

}  // namespace mhub::kernels::cpu
