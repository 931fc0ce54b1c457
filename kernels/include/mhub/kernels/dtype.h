// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mhub::kernels {

// Every element or block type that occurs in a model file or in memory. The one list: readers, back ends and quantizers
// use it. Block types are GGUF's (docs/formats.md); kU4 is the unsigned nibble of compressed-tensors' pack-quantized.
enum class DType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kF64,
  kI8,
  kI16,
  kI32,
  kI64,
  kU8,
  kU16,
  kU32,
  kU64,
  kBool,
  kF8E4M3,
  kF8E5M2,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_NL,
  kIQ4_XS,
  kMXFP4,
  kU4,
};

struct DTypeInfo {
  DType dtype;
  std::string_view name;  // "BF16", "Q4_K"
  uint32_t block_elems;   // elements in a block (1 for plain types; 2 for kU4)
  uint32_t block_bytes;
};
const DTypeInfo& dtype_info(DType dtype);
// By safetensors ("BF16") or GGUF ("Q4_K") name.
std::optional<DType> dtype_from_name(std::string_view name);
inline bool is_block_type(DType dtype) {
  return dtype >= DType::kQ4_0 && dtype <= DType::kMXFP4;
}
// Bytes of a row of `elems` elements; nullopt when elems is no multiple of the block or the product overflows.
std::optional<uint64_t> row_bytes(DType dtype, uint64_t elems);

}  // namespace mhub::kernels
