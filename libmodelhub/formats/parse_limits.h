// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

// Bounds of what the parsers accept, per file. Documented in README.md; each is tested at the limit and one past it.
namespace mhub::formats::limits {

inline constexpr uint64_t kSafetensorsHeaderBytes = 100'000'000;
inline constexpr uint64_t kTensors = 65'536;
inline constexpr uint64_t kSafetensorsNameBytes = 1024;
inline constexpr uint64_t kSafetensorsDims = 8;
inline constexpr uint64_t kSafetensorsMetadataEntries = 65'536;

inline constexpr uint64_t kIndexBytes = 64u << 20;
inline constexpr uint64_t kConfigBytes = 8u << 20;
inline constexpr uint64_t kEosTokens = 1024;

inline constexpr uint64_t kGgufKeys = 16'384;
inline constexpr uint64_t kGgufKeyBytes = 65'535;
inline constexpr uint64_t kGgufStringBytes = 64u << 20;
inline constexpr uint64_t kGgufArrayElements = 16u << 20;
inline constexpr uint64_t kGgufDims = 4;
inline constexpr uint64_t kGgufTensorNameBytes = 63;
inline constexpr uint64_t kGgufMinAlignment = 8, kGgufMaxAlignment = 65'536;
inline constexpr uint64_t kGgufParts = 1000;

inline constexpr int64_t kVocab = 2'097'152;
inline constexpr int64_t kLayers = 4096;
inline constexpr int64_t kWidth = 1 << 20;  // hidden and intermediate sizes
inline constexpr int64_t kHeads = 1 << 16;
inline constexpr int64_t kHeadDim = 4096;
inline constexpr int64_t kExperts = 4096;
inline constexpr int64_t kPositions = 1 << 30;

}  // namespace mhub::formats::limits
