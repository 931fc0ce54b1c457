// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "mhub/base/check.h"
#include "mhub/quantize/quantize.h"
#include "stored_type.h"

namespace mhub::quantize {
namespace {

struct Grid {
  float scale = 1;   // as stored, already rounded to its type
  int32_t zero = 0;  // in the codes' signed range
};

// The grid of one group: zero is always representable, as the format's readers expect.
Grid choose_grid(std::span<const float> group, int bits, bool symmetric, const StoredType& type) {
  float low = 0, high = 0;
  for (const float x : group) {
    low = std::min(low, x);
    high = std::max(high, x);
  }
  const auto steps = static_cast<float>((1 << bits) - 1);
  const float wanted = symmetric ? 2 * std::max(-low, high) / steps : (high - low) / steps;
  Grid grid;
  grid.scale = type.value(type.bits(wanted));
  if (!(grid.scale > 0)) grid.scale = 1;  // all zero, or below the type's smallest value
  if (!symmetric) {
    const auto lowest = static_cast<float>(-(1 << (bits - 1)));
    grid.zero = static_cast<int32_t>(std::clamp(std::nearbyint(lowest - low / grid.scale), lowest, lowest + steps));
  }
  return grid;
}

}  // namespace

Result<void> check_options(const QuantizeOptions& options) {
  const auto refuse = [](std::string message, std::string hint) {
    return Error{ErrorCode::kUsage, std::move(message), std::move(hint), ""};
  };
  if (options.method != "rtn") {
    return refuse(fmt::format("--method {}: no such method", printable(options.method, 64)), "this build has rtn");
  }
  if (options.bits != 4 && options.bits != 8)
    return refuse(fmt::format("--bits {}: not supported", options.bits), "use 4 or 8");
  const bool per_row = options.group_size == 0 && options.bits == 8;
  if (!per_row && options.group_size != 32 && options.group_size != 64 && options.group_size != 128) {
    return refuse(fmt::format("--group-size {}: not supported", options.group_size), "use 32, 64 or 128");
  }
  return {};
}

QuantizedMatrix quantize_rtn(std::span<const float> weights, int64_t rows, int64_t cols, const QuantizeOptions& options,
                             kernels::DType scale_dtype) {
  MHUB_CHECK(rows > 0 && cols > 0 && static_cast<int64_t>(weights.size()) == rows * cols);
  const int64_t group = options.group_size == 0 ? cols : options.group_size;
  MHUB_CHECK(cols % group == 0);
  const StoredType type(scale_dtype);
  const int bits = options.bits, per_word = 32 / bits;
  const int32_t offset = 1 << (bits - 1);
  const int64_t words = (cols + per_word - 1) / per_word;

  QuantizedMatrix out;
  out.rows = rows;
  out.cols = cols;
  out.groups = cols / group;
  out.packed.assign(static_cast<size_t>(rows * words), 0);
  out.scales.resize(static_cast<size_t>(rows * out.groups));
  if (!options.symmetric) out.zero_points.assign(static_cast<size_t>((rows + per_word - 1) / per_word * out.groups), 0);
  for (int64_t n = 0; n < rows; ++n) {
    for (int64_t g = 0; g < out.groups; ++g) {
      const auto values = weights.subspan(static_cast<size_t>(n * cols + g * group), static_cast<size_t>(group));
      const Grid grid = choose_grid(values, bits, options.symmetric, type);
      out.scales[static_cast<size_t>(n * out.groups + g)] = type.bits(grid.scale);
      if (!options.symmetric) {
        auto& word = out.zero_points[static_cast<size_t>(n / per_word * out.groups + g)];
        word = static_cast<int32_t>(static_cast<uint32_t>(word) | static_cast<uint32_t>(grid.zero + offset)
                                                                      << (bits * (n % per_word)));
      }
      const auto low = static_cast<float>(-offset), high = static_cast<float>(offset - 1);
      for (int64_t k = 0; k < group; ++k) {
        const float code = std::nearbyint(values[static_cast<size_t>(k)] / grid.scale) + static_cast<float>(grid.zero);
        const auto stored = static_cast<uint32_t>(static_cast<int32_t>(std::clamp(code, low, high)) + offset);
        const int64_t column = g * group + k;
        auto& word = out.packed[static_cast<size_t>(n * words + column / per_word)];
        word = static_cast<int32_t>(static_cast<uint32_t>(word) | stored << (bits * (column % per_word)));
      }
    }
  }
  return out;
}

}  // namespace mhub::quantize
