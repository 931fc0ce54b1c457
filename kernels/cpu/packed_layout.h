// SPDX-License-Identifier: Apache-2.0
// How quantized weights lie in memory: panels of 16 rows, so that a vector register holds the same four columns of many
// rows. W = scale * (code - offset) + minimum. A panel is its scales, then its codes: the order in
// which a product reads them.
//
// Codes come in blocks of 32 columns; "line i" is 64 bytes: four bytes for each of the 16 rows. Column k of a block is
// byte k % 4 of chunk k / 4. Low parts of codes lie in nibbles (line i: chunk i low, chunk i + 4 high) or in bit pairs
// (line p: chunk 4p + f at bit 2f); a one-bit plane is one line with chunk c at bit c.
#pragma once

#include <cstdint>

namespace mhub::kernels::cpu {

constexpr int64_t kPanelRows = 16;
constexpr int64_t kBlockCols = 32;
constexpr int64_t kSuperBlocks = 8;  // blocks of 32 in a K-quant block of 256

// kIq4 and kFp4 are four bits that stand for the values of a table, here plus kTableOffset.
enum class Codes : uint8_t { k2, k3, k4, k5, k6, k8, kIq4, kFp4 };
constexpr int32_t kTableOffset = 128;
static constexpr uint8_t kCodeTables[2][16] = {
    {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241},
    {128, 129, 130, 131, 132, 134, 136, 140, 128, 127, 126, 125, 124, 122, 120, 116}};
static constexpr bool has_table(Codes codes) {
  return codes == Codes::kIq4 || codes == Codes::kFp4;
}
static constexpr const uint8_t* code_table(Codes codes) {
  return kCodeTables[codes == Codes::kFp4];
}
static constexpr int code_bits(Codes codes) {
  constexpr int kBits[] = {2, 3, 4, 5, 6, 8, 4, 4};
  return kBits[static_cast<int>(codes)];
}
// Of the codes as products see them.
static constexpr int unpacked_bits(Codes codes) {
  return has_table(codes) ? 8 : code_bits(codes);
}
// Bytes of a block of 16 rows by 32 columns.
static constexpr int64_t code_bytes(Codes codes) {
  return 64 * code_bits(codes);
}

enum class Scales : uint8_t {
  kHalf,        // per block: f16 scale[16]
  kHalfMin,     // per block: f16 scale[16], f16 minimum[16]
  kSuper,       // per 8 blocks: f16 d[16], f16 dmin[16], then per block u8 scale[16], u8 minimum[16] (subtracted)
  kSuper16,     // per 8 blocks: f16 d[16], then per 16 columns i8 scale[16]
  kSuper16Min,  // per 8 blocks: f16 d[16], f16 dmin[16], then per 16 columns u8[16]: scale low, minimum high nibble
  kGroup,       // per group: f32 scale[16]
  kGroupZero,   // per group: f32 scale[16], u8 zero code[16]
};
static constexpr bool has_minimum(Scales s) {
  return s == Scales::kHalfMin || s == Scales::kSuper || s == Scales::kSuper16Min || s == Scales::kGroupZero;
}
// Columns that share a scale inside a block.
static constexpr int64_t scale_cols(Scales s) {
  return s == Scales::kSuper16 || s == Scales::kSuper16Min ? 16 : 32;
}

struct PackedLayout {
  Codes codes = Codes::k4;
  Scales scales = Scales::kHalf;
  int32_t offset = 0;        // 0 where there are minimums
  int64_t blocks = 0;        // of 32 columns, the last one padded
  int64_t group_blocks = 1;  // blocks that share a scale of kGroup, kGroupZero
};

static inline int64_t group_count(const PackedLayout& l) {
  return (l.blocks + l.group_blocks - 1) / l.group_blocks;
}
static inline int64_t sub_blocks(const PackedLayout& l) {
  return l.blocks * (kBlockCols / scale_cols(l.scales));
}
static inline int64_t scales_bytes(const PackedLayout& l) {
  switch (l.scales) {
    case Scales::kHalf:
      return l.blocks * 32;
    case Scales::kHalfMin:
      return l.blocks * 64;
    case Scales::kSuper:
      return l.blocks / kSuperBlocks * (64 + 8 * 32);
    case Scales::kSuper16:
      return l.blocks / kSuperBlocks * (32 + 16 * 16);
    case Scales::kSuper16Min:
      return l.blocks / kSuperBlocks * (64 + 16 * 16);
    case Scales::kGroup:
      return group_count(l) * 64;
    case Scales::kGroupZero:
      return group_count(l) * 80;
  }
  return 0;
}
// Where a panel's codes start.
static inline int64_t codes_offset(const PackedLayout& l) {
  return (scales_bytes(l) + 63) / 64 * 64;
}
static inline int64_t panel_bytes(const PackedLayout& l) {
  return codes_offset(l) + l.blocks * code_bytes(l.codes);
}

}  // namespace mhub::kernels::cpu
