// SPDX-License-Identifier: Apache-2.0
#include "gguf_types.h"

#include <array>
#include <string_view>

namespace mhub::formats {
namespace {
using kernels::DType;

struct GgufType {
  uint32_t id;
  std::string_view name;
  std::optional<DType> dtype;
};
// The published ids. Types without a DType are known by name only.
constexpr std::array<GgufType, 38> kTypes = {{
    {0, "F32", DType::kF32},
    {1, "F16", DType::kF16},
    {2, "Q4_0", DType::kQ4_0},
    {3, "Q4_1", DType::kQ4_1},
    {6, "Q5_0", DType::kQ5_0},
    {7, "Q5_1", DType::kQ5_1},
    {8, "Q8_0", DType::kQ8_0},
    {9, "Q8_1", std::nullopt},
    {10, "Q2_K", DType::kQ2_K},
    {11, "Q3_K", DType::kQ3_K},
    {12, "Q4_K", DType::kQ4_K},
    {13, "Q5_K", DType::kQ5_K},
    {14, "Q6_K", DType::kQ6_K},
    {15, "Q8_K", std::nullopt},
    {16, "IQ2_XXS", std::nullopt},
    {17, "IQ2_XS", std::nullopt},
    {18, "IQ3_XXS", std::nullopt},
    {19, "IQ1_S", std::nullopt},
    {20, "IQ4_NL", DType::kIQ4_NL},
    {21, "IQ3_S", std::nullopt},
    {22, "IQ2_S", std::nullopt},
    {23, "IQ4_XS", DType::kIQ4_XS},
    {24, "I8", DType::kI8},
    {25, "I16", DType::kI16},
    {26, "I32", DType::kI32},
    {27, "I64", DType::kI64},
    {28, "F64", DType::kF64},
    {29, "IQ1_M", std::nullopt},
    {30, "BF16", DType::kBF16},
    {31, "Q4_0_4_4, retired", std::nullopt},
    {32, "Q4_0_4_8, retired", std::nullopt},
    {33, "Q4_0_8_8, retired", std::nullopt},
    {34, "TQ1_0", std::nullopt},
    {35, "TQ2_0", std::nullopt},
    {36, "IQ4_NL_4_4, retired", std::nullopt},
    {37, "IQ4_NL_4_8, retired", std::nullopt},
    {39, "MXFP4", DType::kMXFP4},
    {40, "NVFP4", std::nullopt},
}};

const GgufType* find_type(uint32_t type) {
  for (const auto& entry : kTypes) {
    if (entry.id == type) return &entry;
  }
  return nullptr;
}
}  // namespace

std::optional<DType> gguf_dtype(uint32_t type) {
  const auto* entry = find_type(type);
  return entry ? entry->dtype : std::nullopt;
}

std::string gguf_type_name(uint32_t type) {
  if (const auto* entry = find_type(type)) return std::string(entry->name);
  return type >= 97 && type < 1024 ? "a type of the ik_llama.cpp fork" : "unknown";
}

}  // namespace mhub::formats
