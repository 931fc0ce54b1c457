// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace mhub::model {

template <class T>
struct OptionLimits {
  T smallest, largest, standard;
  constexpr bool allows(T value) const { return value >= smallest && value <= largest; }  // a NaN is not allowed
};

// What the options of an engine may be and what they are when not given: for the command line, its help, and whoever
// fills RunnerOptions otherwise.
inline constexpr OptionLimits<int64_t> kMaxNumSeqs{1, 4096, 256};
inline constexpr OptionLimits<int64_t> kMaxNumBatchedTokens{1, 1 << 20, 2048};
inline constexpr OptionLimits<int64_t> kBlockSize{1, 1024, 16};
inline constexpr std::array<int64_t, 5> kBlockSizes = {8, 16, 32, 64, 128};  // of the command line; tests use others
inline constexpr OptionLimits<double> kGpuMemoryUtilization{0.01, 1, 0.9};

}  // namespace mhub::model
