// SPDX-License-Identifier: Apache-2.0
#include "packing.h"

#include <algorithm>
#include <cstring>

#include "block_decode.h"
#include "group_codes.h"
#include "mhub/kernels/half.h"

namespace mhub::kernels::cpu {
namespace {

// --- codes of 32 columns, unsigned ---

void nibbles(const uint8_t* qs, uint8_t* codes) {
  for (int i = 0; i < 16; ++i) {
    codes[i] = qs[i] & 15;
    codes[i + 16] = qs[i] >> 4;
  }
}

void nibbles_and_bits(const uint8_t* qs, uint32_t bits, uint8_t* codes) {
  nibbles(qs, codes);
  for (int e = 0; e < 32; ++e) codes[e] = static_cast<uint8_t>(codes[e] | ((bits >> e) & 1) << 4);
}

// Block `s` (0..7) of 32 columns in a K-quant block.
void super_codes(DType dtype, const uint8_t* b, int64_t s, uint8_t* codes) {
  const int64_t a = s / 4, j = s % 4;
  switch (dtype) {
    case DType::kQ2_K:
      for (int l = 0; l < 32; ++l) codes[l] = (b[16 + 32 * a + l] >> (2 * j)) & 3;
      return;
    case DType::kQ3_K:
      for (int l = 0; l < 32; ++l)
        codes[l] = static_cast<uint8_t>(((b[32 + 32 * a + l] >> (2 * j)) & 3) | ((b[l] >> s) & 1) << 2);
      return;
    case DType::kQ4_K:
      for (int l = 0; l < 32; ++l) codes[l] = (b[16 + 32 * (s / 2) + l] >> (4 * (s % 2))) & 15;
      return;
    case DType::kQ5_K:
      for (int l = 0; l < 32; ++l)
        codes[l] =
            static_cast<uint8_t>(((b[48 + 32 * (s / 2) + l] >> (4 * (s % 2))) & 15) | ((b[16 + l] >> s) & 1) << 4);
      return;
    default:  // Q6_K
      for (int l = 0; l < 32; ++l)
        codes[l] = static_cast<uint8_t>(((b[64 * a + 32 * (j & 1) + l] >> (j < 2 ? 0 : 4)) & 15) |
                                        ((b[128 + 32 * a + l] >> (2 * j)) & 3) << 4);
  }
}

void group_codes(const MatrixSource& source, int64_t row, int64_t block, uint8_t* codes) {
  const GroupCodes group(source);
  const int64_t first = block * kBlockCols, count = std::min(kBlockCols, source.cols - first);
  const int bias = source.dtype == DType::kU4 ? 8 : 128;
  std::memset(codes, 0, kBlockCols);
  for (int64_t i = 0; i < count; ++i) codes[i] = static_cast<uint8_t>(group.code(row, first + i) + bias);
}

const uint8_t* row_start(const MatrixSource& s, int64_t row) {
  return static_cast<const uint8_t*>(s.data) +
         row * static_cast<int64_t>(*row_bytes(s.dtype, static_cast<uint64_t>(s.cols)));
}

void codes_of(const MatrixSource& source, int64_t row, int64_t block, uint8_t* codes) {
  if (source.scales != nullptr) return group_codes(source, row, block, codes);
  const DTypeInfo& info = dtype_info(source.dtype);
  const uint8_t* start = row_start(source, row);
  if (source.dtype == DType::kIQ4_XS) {
    return nibbles(start + block / kSuperBlocks * info.block_bytes + 8 + 16 * (block % kSuperBlocks), codes);
  }
  if (info.block_elems == 256) {
    return super_codes(source.dtype, start + block / kSuperBlocks * info.block_bytes, block % kSuperBlocks, codes);
  }
  const uint8_t* b = start + block * info.block_bytes;
  switch (source.dtype) {
    case DType::kQ4_0:
    case DType::kIQ4_NL:
      return nibbles(b + 2, codes);
    case DType::kMXFP4:
      return nibbles(b + 1, codes);
    case DType::kQ4_1:
      return nibbles(b + 4, codes);
    case DType::kQ5_0:
      return nibbles_and_bits(b + 6, load_unaligned<uint32_t>(b + 2), codes);
    case DType::kQ5_1:
      return nibbles_and_bits(b + 8, load_unaligned<uint32_t>(b + 4), codes);
    default:  // Q8_0
      for (int i = 0; i < 32; ++i) codes[i] = b[2 + i] ^ 0x80;
  }
}

// --- lines of a packed block ---

void put_word(uint8_t* lines, int line, int64_t lane, uint32_t word) {
  std::memcpy(lines + 64 * line + 4 * lane, &word, 4);
}

void put_codes(Codes kind, const uint8_t* codes, int64_t lane, uint8_t* lines) {
  const auto chunk = [codes](int c) { return load_unaligned<uint32_t>(codes + 4 * c); };
  const auto bit_plane = [&](int bit) {
    uint32_t word = 0;
    for (int c = 0; c < 8; ++c) word |= ((chunk(c) >> bit) & 0x01010101) << c;
    return word;
  };
  const auto pair_plane = [&](int plane, int bit) {
    uint32_t word = 0;
    for (int f = 0; f < 4; ++f) word |= ((chunk(4 * plane + f) >> bit) & 0x03030303) << (2 * f);
    return word;
  };
  switch (kind) {
    case Codes::k8:
      for (int c = 0; c < 8; ++c) put_word(lines, c, lane, chunk(c));
      return;
    case Codes::k3:
      put_word(lines, 2, lane, bit_plane(2));
      [[fallthrough]];
    case Codes::k2:
      for (int p = 0; p < 2; ++p) put_word(lines, p, lane, pair_plane(p, 0));
      return;
    case Codes::k5:
      put_word(lines, 4, lane, bit_plane(4));
      break;
    case Codes::k6:
      for (int p = 0; p < 2; ++p) put_word(lines, 4 + p, lane, pair_plane(p, 4));
      break;
    case Codes::k4:
    case Codes::kIq4:
    case Codes::kFp4:
      break;
  }
  for (int i = 0; i < 4; ++i) put_word(lines, i, lane, (chunk(i) & 0x0f0f0f0f) | (chunk(i + 4) & 0x0f0f0f0f) << 4);
}

// --- scales ---

void put_half(uint8_t* to, int64_t lane, const uint8_t* half) {
  std::memcpy(to + 2 * lane, half, 2);
}

void put_super_scales(const MatrixSource& source, int64_t row, int64_t lane, uint8_t* to) {
  const DTypeInfo& info = dtype_info(source.dtype);
  const uint8_t* b = row_start(source, row);
  for (int64_t super = 0; super < source.cols / 256; ++super, b += info.block_bytes) {
    switch (source.dtype) {
      case DType::kQ4_K:
      case DType::kQ5_K:
        put_half(to, lane, b);
        put_half(to + 32, lane, b + 2);
        for (int s = 0; s < 8; ++s) {
          const ScaleMin pair = k4_scale_min(b + 4, s);
          to[64 + 32 * s + lane] = pair.scale;
          to[64 + 32 * s + 16 + lane] = pair.min;
        }
        to += 64 + 8 * 32;
        break;
      case DType::kQ2_K:
        put_half(to, lane, b + 80);
        put_half(to + 32, lane, b + 82);
        for (int k = 0; k < 16; ++k) to[64 + 16 * k + lane] = b[k];
        to += 64 + 16 * 16;
        break;
      default:  // Q3_K, Q6_K
        put_half(to, lane, b + (source.dtype == DType::kQ3_K ? 108 : 208));
        for (int k = 0; k < 16; ++k)
          to[32 + 16 * k + lane] =
              source.dtype == DType::kQ3_K ? static_cast<uint8_t>(q3_scale(b + 96, k)) : b[192 + k];
        to += 32 + 16 * 16;
    }
  }
}

void put_group_scales(const MatrixSource& source, int64_t row, int64_t lane, uint8_t* to) {
  const GroupCodes group(source);
  const int bias = source.dtype == DType::kU4 ? 8 : 128;
  for (int64_t g = 0; g < group.groups(); ++g) {
    const float scale = group.scale(row, g);
    std::memcpy(to + 4 * lane, &scale, 4);
    to += 64;
    if (source.zeros == nullptr) continue;
    to[lane] = static_cast<uint8_t>(group.zero(row, g) + bias);
    to += 16;
  }
}

// The scale of every block of 32 columns as float32.
void put_block_scales(const MatrixSource& source, const PackedLayout& layout, int64_t row, int64_t lane, uint8_t* to) {
  const uint8_t* b = row_start(source, row);
  for (int64_t i = 0; i < layout.blocks; ++i, to += 64) {
    float scale = 0.0f;
    if (source.dtype == DType::kMXFP4) {
      scale = half_e8m0(b[i * 17]);
    } else {  // IQ4_XS
      const uint8_t* super = b + i / kSuperBlocks * 136;
      scale = float_from_f16(load_unaligned<uint16_t>(super)) *
              static_cast<float>(iq4_xs_scale(super, static_cast<int>(i % kSuperBlocks)));
    }
    std::memcpy(to + 4 * lane, &scale, 4);
  }
}

void put_scales(const MatrixSource& source, const PackedLayout& layout, int64_t row, int64_t lane, uint8_t* to) {
  switch (layout.scales) {
    case Scales::kGroup:
    case Scales::kGroupZero:
      if (source.scales == nullptr) return put_block_scales(source, layout, row, lane, to);
      return put_group_scales(source, row, lane, to);
    case Scales::kHalf:
    case Scales::kHalfMin: {
      const bool minimum = layout.scales == Scales::kHalfMin;
      const uint8_t* b = row_start(source, row);
      for (int64_t i = 0; i < layout.blocks; ++i, b += dtype_info(source.dtype).block_bytes) {
        put_half(to, lane, b);
        if (minimum) put_half(to + 32, lane, b + 2);
        to += minimum ? 64 : 32;
      }
      return;
    }
    default:
      return put_super_scales(source, row, lane, to);
  }
}

}  // namespace

std::optional<PackedLayout> layout_of(const MatrixSource& source) {
  const int64_t blocks = (source.cols + kBlockCols - 1) / kBlockCols;
  const auto plain = [&](Codes codes, Scales scales, int32_t offset) {
    return PackedLayout{.codes = codes, .scales = scales, .offset = offset, .blocks = blocks};
  };
  switch (source.dtype) {
    case DType::kQ4_0:
      return plain(Codes::k4, Scales::kHalf, 8);
    case DType::kQ4_1:
      return plain(Codes::k4, Scales::kHalfMin, 0);
    case DType::kQ5_0:
      return plain(Codes::k5, Scales::kHalf, 16);
    case DType::kQ5_1:
      return plain(Codes::k5, Scales::kHalfMin, 0);
    case DType::kQ8_0:
      return plain(Codes::k8, Scales::kHalf, 128);
    case DType::kQ2_K:
      return plain(Codes::k2, Scales::kSuper16Min, 0);
    case DType::kQ3_K:
      return plain(Codes::k3, Scales::kSuper16, 4);
    case DType::kQ4_K:
      return plain(Codes::k4, Scales::kSuper, 0);
    case DType::kQ5_K:
      return plain(Codes::k5, Scales::kSuper, 0);
    case DType::kQ6_K:
      return plain(Codes::k6, Scales::kSuper16, 32);
    case DType::kIQ4_NL:
      return plain(Codes::kIq4, Scales::kHalf, kTableOffset);
    case DType::kIQ4_XS:
      return plain(Codes::kIq4, Scales::kGroup, kTableOffset);
    case DType::kMXFP4:
      return plain(Codes::kFp4, Scales::kGroup, kTableOffset);
    case DType::kU4:
    case DType::kI8: {
      const bool whole = source.group_size >= source.cols;
      if (!whole && source.group_size % kBlockCols != 0) return std::nullopt;
      PackedLayout layout = plain(source.dtype == DType::kU4 ? Codes::k4 : Codes::k8, Scales::kGroup,
                                  source.dtype == DType::kU4 ? 8 : 128);
      if (source.zeros != nullptr) layout.scales = Scales::kGroupZero, layout.offset = 0;
      layout.group_blocks = whole ? blocks : source.group_size / kBlockCols;
      return layout;
    }
    default:
      return std::nullopt;
  }
}

void pack_panel(const MatrixSource& source, const PackedLayout& layout, int64_t panel, uint8_t* to) {
  std::memset(to, 0, static_cast<size_t>(panel_bytes(layout)));
  const int64_t first = panel * kPanelRows, rows = std::min(kPanelRows, source.rows - first);
  for (int64_t lane = 0; lane < rows; ++lane) {
    uint8_t codes[kBlockCols];
    for (int64_t block = 0; block < layout.blocks; ++block) {
      codes_of(source, first + lane, block, codes);
      put_codes(layout.codes, codes, lane, to + codes_offset(layout) + block * code_bytes(layout.codes));
    }
    put_scales(source, layout, first + lane, lane, to);
  }
}

}  // namespace mhub::kernels::cpu
