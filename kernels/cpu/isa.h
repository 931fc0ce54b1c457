// SPDX-License-Identifier: Apache-2.0
// The functions that exist once per instruction set, and the plain structs they take. Everything a file compiled with
// special flags calls must be free of inline functions with external linkage: the linker could hand such a copy to code
// that runs on an older CPU. So: no standard library here or in ops_*.h, and helpers are static.
#pragma once

#include <cstdint>

#include "mhub/kernels/dtype.h"
#include "mhub/kernels/op_options.h"
#include "packed_layout.h"

namespace mhub::kernels::cpu {

// out[t][r] = sum_k x[t][k] * w[r][k] + bias[r]; w is row-major F32, F16 or BF16.
struct DotTile {
  const uint8_t* w;
  DType dtype;
  int64_t w_row_bytes;
  int64_t rows;
  const float* x;
  int64_t x_stride;
  int64_t tokens;
  int64_t k;
  float* out;
  int64_t out_stride;
  const float* bias;  // may be null
};

constexpr int64_t kAttentionRows = 32;   // query rows (token, head) of one tile
constexpr int64_t kAttentionChunk = 64;  // context positions between two updates of the running maximum

// Query rows [row_begin, row_end) of one sequence and one KV head, row = token * group + head, against context
// positions [kv_begin, kv_end); row's own limit is position first_position + token. At most kAttentionRows rows.
struct AttentionTile {
  const float* q;  // of the KV head's first query head at the sequence's first token
  float* out;
  int64_t q_stride, out_stride;  // elements between tokens
  int64_t group, head_dim, value_dim;
  int64_t row_begin, row_end;
  int64_t first_position;
  int64_t kv_begin, kv_end;
  int64_t window;      // positions that a row sees, its own included; 0 = all
  float soft_cap;      // 0 = none
  const float* sinks;  // of the group's heads; null = none. Not for split contexts: merging adds them
  // Block b of this layer and KV head: keys [head_dim, block_size] at kv + b * block_stride, values
  // [block_size, value_dim] at the same place + value_offset (bytes). A latent cache has rows [block_size, head_dim]
  // instead, whose values start value_offset bytes into the row.
  bool latent;
  const uint8_t* kv;
  int64_t block_stride, value_offset, block_size;
  DType kv_dtype;
  const int32_t* block_table;
  float scale;
  float* scratch;  // attention_scratch_floats(head_dim, value_dim)
  // For a context split over several tiles: row i's sum of weighted values goes to result [rows, value_dim] instead of
  // out, its maximum and sum of weights to partial[2 * i]. Both null = the tile covers the whole context.
  float* result;
  float* partial;
};
constexpr int64_t attention_scratch_floats(int64_t head_dim, int64_t value_dim) {
  return kAttentionRows * (head_dim + value_dim + kAttentionChunk + 2);
}

// One panel of a packed weight times a tile of tokens. The tile's activations lie interleaved: int8 [block][width][32]
// with scales [block][width], or (floats != null) float32 [column][width]; width is a tile_width().
struct PackedTile {
  const uint8_t* codes;
  Codes codes_kind;
  bool has_minimum;
  int32_t offset;  // subtracted from the codes
  int64_t blocks;
  const float *scale, *minimum;  // [sub-block][16]
  int64_t width, tokens;         // tokens <= width are stored
  const int8_t* activations;
  const float* activation_scales;
  // Per sub-block and token, over the activations a of the sub-block: what the integer sum starts from (it carries the
  // offset: -offset * sum a), and the factor of the minimum, scale * sum a.
  const int32_t* starts;
  const float* activation_sums;
  const float* floats;
  float* out;
  int64_t out_stride;
  int64_t rows;       // of the panel that exist
  const float* bias;  // may be null
};

// Quantizes one row to int8 with a scale per 32 columns; columns past k become zero. Block b goes to q + b * q_step,
// its scale to scale[b * step], its sums of 16 columns to sums[2 * b * step] and sums[(2 * b + 1) * step].
struct QuantizeRow {
  const float* x;
  int64_t k;
  int8_t* q;
  int64_t q_step;
  float* scale;
  int32_t* sums;
  int64_t step;
};

struct Isa {
  const char* name;
  const char* extras;  // what the description adds in brackets
  int max_tokens;      // widest tile of packed()
  // Eight-bit codes are multiplied as code - 128: starts must carry + 128 * sum a.
  bool signed_eight;
  void (*rms_norm)(float* out, const float* x, const float* weight, int64_t n, float eps);
  void (*add)(float* sum, const float* x, int64_t n);
  void (*add_scaled)(float* sum, const float* x, float factor, int64_t n);
  void (*scale)(float* x, float factor, int64_t n);
  void (*soft_cap)(float* x, float cap, int64_t n);
  void (*silu_mul)(float* out, const float* gate, const float* up, int64_t n);
  void (*gated)(float* out, const float* gate, const float* up, int64_t n, const GatedActivation& activation);
  // Rotates one head in place; cos and sin have `half` values.
  void (*rope)(float* head, const float* cos, const float* sin, int64_t half, bool interleaved);
  // Converts to a KV dtype; destination elements lie dst_step elements apart.
  void (*store)(void* dst, DType dtype, int64_t dst_step, const float* src, int64_t n);
  void (*dot)(const DotTile& tile);
  void (*attention)(const AttentionTile& tile);
  void (*packed)(const PackedTile& tile);
  // Scales and minimums of a panel as float32 [sub-block][16].
  void (*expand_scales)(const PackedLayout& layout, const uint8_t* scales, float* scale, float* minimum);
  void (*quantize)(const QuantizeRow& row);
  // dot() with BF16 weights and activations that narrow() made; null where the CPU has no such instruction.
  void (*dot_bf16)(const DotTile& tile, const uint16_t* x);
};

const Isa& scalar_isa();
const Isa& avx2_isa();
const Isa& avx512_isa();

}  // namespace mhub::kernels::cpu
