// SPDX-License-Identifier: Apache-2.0
// --load-format dummy: random weights of the true shapes, for measuring without a download.
#include <algorithm>
#include <cstring>

#include "mhub/base/bytes.h"
#include "random_bits.h"
#include "weights/tensor_check.h"

namespace mhub::model {
namespace {
using kernels::DType;

constexpr float kSpread = 0.035f;  // about the standard deviation 0.02 of fresh Hugging Face models, uniform

struct Layout {
  DType dtype = DType::kBF16;
  bool quantized = false;
  int64_t group_size = 0, groups = 0;
  uint64_t code_bytes = 0, scale_bytes = 0;
};

Layout layout_of(const WeightSpec& spec, const formats::ModelConfig& config) {
  Layout layout;
  const auto elements = static_cast<uint64_t>(spec.rows) * static_cast<uint64_t>(spec.cols);
  if (spec.kind == WeightKind::kVector || spec.kind == WeightKind::kFloat)
    return {DType::kF32, false, 0, 0, elements * 4, 0};
  const std::string module = spec.name.substr(0, spec.name.rfind('.'));
  const auto& q = config.quantization;
  const bool ignored = !q || spec.kind != WeightKind::kLinear || module == "lm_head" ||
                       std::find(q->ignore.begin(), q->ignore.end(), module) != q->ignore.end();
  if (ignored) {
    layout.dtype = config.torch_dtype == DType::kF32 ? DType::kF32 : DType::kBF16;
    layout.code_bytes = elements * kernels::dtype_info(layout.dtype).block_bytes;
    return layout;
  }
  layout.quantized = true;
  layout.dtype = q->num_bits == 4 ? DType::kU4 : DType::kI8;
  layout.group_size = q->group_size == 0 ? spec.cols : q->group_size;
  layout.groups = (spec.cols + layout.group_size - 1) / layout.group_size;
  const auto rows = static_cast<uint64_t>(spec.rows);
  layout.code_bytes = q->num_bits == 4 ? rows * static_cast<uint64_t>((spec.cols + 7) / 8) * 4 : elements;
  layout.code_bytes = (layout.code_bytes + 3) / 4 * 4;
  layout.scale_bytes = rows * static_cast<uint64_t>(layout.groups) * 4;
  return layout;
}

uint64_t hash_of(std::string_view text, uint64_t seed) {
  uint64_t h = mix_bits(seed + kCounterStep);
  for (const char c : text) h = mix_bits(h ^ static_cast<unsigned char>(c));
  return h;
}

float spread(uint64_t bits) {
  return (static_cast<float>(bits & 0xffff) / 32768.0f - 1.0f) * kSpread;
}

}  // namespace

CheckpointWeight dummy_shape(const WeightSpec& spec, const formats::ModelConfig& config) {
  const Layout layout = layout_of(spec, config);
  const bool vector = spec.kind == WeightKind::kVector;
  CheckpointWeight weight;
  weight.source.dtype = layout.dtype;
  weight.source.rows = vector ? 1 : spec.rows;
  weight.source.cols = vector ? spec.rows : spec.cols;
  weight.source.group_size = layout.group_size;
  weight.bytes = layout.code_bytes + layout.scale_bytes;
  return weight;
}

std::optional<CheckpointWeight> dummy_stand_in(const WeightSpec& spec, const formats::ModelConfig& config,
                                               uint64_t seed) {
  if (spec.kind == WeightKind::kVector || spec.kind == WeightKind::kFloat || layout_of(spec, config).quantized)
    return std::nullopt;
  CheckpointWeight weight = dummy_shape(spec, config);
  weight.source.random_key = hash_of(spec.name, seed);
  return weight;
}

CheckpointWeight dummy_weight(const WeightSpec& spec, const formats::ModelConfig& config, uint64_t seed) {
  const Layout layout = layout_of(spec, config);
  auto bytes = std::make_shared<std::vector<std::byte>>(layout.code_bytes + layout.scale_bytes);
  CheckpointWeight weight = dummy_shape(spec, config);
  const bool vector = spec.kind == WeightKind::kVector;
  weight.source.data = bytes->data();
  const uint64_t key = hash_of(spec.name, seed);
  const bool norm = vector && spec.name.ends_with("norm.weight");
  const size_t width = layout.quantized ? 4 : kernels::dtype_info(layout.dtype).block_bytes;
  for (size_t i = 0; i * width < layout.code_bytes; ++i) {
    std::byte* at = bytes->data() + i * width;
    const uint64_t bits = mix_bits(key + i * kCounterStep);
    const float value = norm ? 1.0f : spread(bits);
    uint32_t word;
    std::memcpy(&word, &value, 4);
    if (layout.quantized)
      store_le(at, static_cast<uint32_t>(bits));
    else if (layout.dtype == DType::kBF16)
      store_le(at, static_cast<uint16_t>(word >> 16));
    else
      store_le(at, value);
  }
  if (layout.quantized) {
    weight.source.scales = bytes->data() + layout.code_bytes;
    for (size_t i = 0; i * 4 < layout.scale_bytes; ++i)
      store_le(bytes->data() + layout.code_bytes + i * 4, kSpread / (layout.dtype == DType::kU4 ? 8.0f : 128.0f));
  }
  weight.owned = std::move(bytes);
  return weight;
}

}  // namespace mhub::model
