// SPDX-License-Identifier: Apache-2.0
// Newer GGUF files hold DeepSeek's kv_b_proj as attn_k_b [heads, latent, nope], transposed for absorption, and attn_v_b
// [heads, value, latent].
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>

#include "mhub/base/check.h"
#include "weights/tensor_check.h"

namespace mhub::model {
namespace {

// All of a tensor of three dimensions as one matrix.
Result<CheckpointWeight> flattened(const formats::TensorTable& tensors, const formats::TensorEntry& entry,
                                   const std::vector<int64_t>& shape) {
  if (entry.shape != shape) {
    return bad_tensor(tensors, entry.name,
                      fmt::format("has shape [{}], the configuration needs [{}]", fmt::join(entry.shape, ", "),
                                  fmt::join(shape, ", ")));
  }
  formats::TensorEntry flat = entry;
  flat.shape = {shape[0] * shape[1], shape[2]};
  return plain_weight(tensors, flat, {entry.name, WeightKind::kFloat, flat.shape[0], flat.shape[1]});
}

}  // namespace

Result<std::optional<CheckpointWeight>> gguf_kv_b(const formats::TensorTable& tensors, const WeightSpec& spec,
                                                  const std::string& gguf_name, const formats::ModelConfig& config,
                                                  std::set<std::string, std::less<>>& used) {
  constexpr std::string_view kOld = "attn_kv_b.weight";
  if (!gguf_name.ends_with(kOld)) return std::optional<CheckpointWeight>();
  const std::string block = gguf_name.substr(0, gguf_name.size() - kOld.size());
  const auto* keys = tensors.find(block + "attn_k_b.weight");
  const auto* values = tensors.find(block + "attn_v_b.weight");
  if (!keys || !values) return std::optional<CheckpointWeight>();
  used.insert({keys->name, values->name});
  if (tensors.find(gguf_name)) {  // some writers keep both forms
    return std::optional<CheckpointWeight>();
  }
  const int64_t heads = config.num_attention_heads, rank = config.latent.kv_lora_rank;
  const int64_t nope = config.latent.qk_nope_head_dim, value = config.latent.v_head_dim;
  MHUB_TRY(const auto k, flattened(tensors, *keys, {heads, rank, nope}));
  MHUB_TRY(const auto v, flattened(tensors, *values, {heads, value, rank}));
  CheckpointWeight weight;
  weight.as_float = true;
  weight.bytes = static_cast<uint64_t>(spec.rows * spec.cols) * sizeof(float);
  weight.source.rows = spec.rows;
  weight.source.cols = spec.cols;
  weight.make = [k, v, heads, rank, nope, value, bytes = weight.bytes, source = weight.source] {
    auto made = std::make_shared<std::vector<std::byte>>(bytes);
    auto* out = reinterpret_cast<float*>(made->data());
    std::vector<float> transposed(static_cast<size_t>(rank * nope));
    for (int64_t h = 0; h < heads; ++h, out += (nope + value) * rank) {
      kernels::dequantize_rows(k.source, h * rank, rank, transposed.data());
      for (int64_t i = 0; i < nope; ++i) {
        for (int64_t j = 0; j < rank; ++j) out[i * rank + j] = transposed[static_cast<size_t>(j * nope + i)];
      }
      kernels::dequantize_rows(v.source, h * value, value, out + nope * rank);
    }
    CheckpointWeight whole;
    whole.source = source;
    whole.source.data = made->data();
    whole.bytes = bytes;
    whole.owned = std::move(made);
    return whole;
  };
  return std::optional(std::move(weight));
}

}  // namespace mhub::model
