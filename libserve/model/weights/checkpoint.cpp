// SPDX-License-Identifier: Apache-2.0
#include "weights/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>

#include "mhub/base/check.h"
#include "weights/tensor_check.h"

namespace mhub::model {

Result<Checkpoint> Checkpoint::from_safetensors(formats::TensorTable tensors, const formats::ModelConfig& config,
                                                const std::vector<WeightSpec>& specs) {
  Checkpoint checkpoint;
  std::set<std::string, std::less<>> used;
  for (const WeightSpec& spec : specs) {
    const bool tied_copy = !spec.required && config.tie_word_embeddings;  // the flag wins over a stored lm_head
    if (config.quantization && (spec.kind == WeightKind::kLinear || spec.kind == WeightKind::kFloat)) {
      MHUB_TRY(auto quantized, quantized_weight(tensors, spec, *config.quantization, used));
      if (quantized) {
        quantized->as_float = spec.kind == WeightKind::kFloat;
        if (!tied_copy) checkpoint.weights_.emplace(spec.name, *std::move(quantized));
        continue;
      }
    }
    const auto* entry = tensors.find(spec.name);
    if (!entry) {
      MHUB_TRY(auto stacked, stacked_expert(tensors, spec, used));
      if (stacked) {
        checkpoint.weights_.emplace(spec.name, *std::move(stacked));
        continue;
      }
      if (!spec.required && !tensors.unsupported.contains(spec.name)) continue;
      return missing_tensor(tensors, spec.name);
    }
    used.insert(spec.name);
    MHUB_TRY(auto weight, plain_weight(tensors, *entry, spec));
    if (!tied_copy) checkpoint.weights_.emplace(spec.name, std::move(weight));
  }
  MHUB_CHECK_OK(check_no_surplus(tensors, used, config));
  checkpoint.dtype_ = config.torch_dtype;
  checkpoint.files_ = std::move(tensors.files);
  return checkpoint;
}

Result<Checkpoint> Checkpoint::from_gguf(formats::GgufFile gguf, const formats::ModelConfig& config,
                                         const std::vector<WeightSpec>& specs) {
  Checkpoint checkpoint;
  formats::TensorTable& tensors = gguf.table;
  std::set<std::string, std::less<>> used;
  const std::string architecture = gguf.string("general.architecture").value_or("");
  const bool norms_after = architecture.starts_with("gemma") || architecture == "olmo2" || architecture == "gpt-oss";
  for (const WeightSpec& spec : specs) {
    const std::string name = gguf_tensor_name(spec.name, norms_after);
    MHUB_CHECK(!name.empty());
    MHUB_TRY(auto kv_b, gguf_kv_b(tensors, spec, name, config, used));
    if (kv_b) {
      checkpoint.weights_.emplace(spec.name, *std::move(kv_b));
      continue;
    }
    const auto* entry = tensors.find(name);
    if (!entry) {
      if (!spec.required) continue;
      return missing_tensor(tensors, name);
    }
    used.insert(name);
    if (spec.expert >= 0) {
      MHUB_TRY(auto expert, expert_slice(tensors, *entry, spec));
      checkpoint.weights_.emplace(spec.name, std::move(expert));
      continue;
    }
    MHUB_TRY(auto weight, plain_weight(tensors, *entry, spec));
    checkpoint.weights_.emplace(spec.name, std::move(weight));
  }
  for (const char* name : {"rope_factors_long.weight", "rope_factors_short.weight"}) {  // the configuration's
    if (tensors.find(name)) used.insert(name);
  }
  if (const auto* divisors = tensors.find("rope_freqs.weight")) {
    const WeightSpec spec{divisors->name, WeightKind::kVector, divisors->shape.empty() ? 0 : divisors->shape[0], 1,
                          true};
    MHUB_TRY(const auto weight, plain_weight(tensors, *divisors, spec));
    checkpoint.rope_divisors_.resize(static_cast<size_t>(spec.rows));
    kernels::dequantize_rows(weight.source, 0, 1, checkpoint.rope_divisors_.data());
    for (const float divisor : checkpoint.rope_divisors_) {
      if (!(divisor > 0)) return bad_tensor(tensors, divisors->name, "holds a divisor that is not positive");
    }
    used.insert(divisors->name);
  }
  MHUB_CHECK_OK(check_no_surplus(tensors, used, config));
  checkpoint.norms_hold_one_ = true;
  checkpoint.interleaved_rope_ = architecture == "llama";
  checkpoint.files_ = std::move(tensors.files);
  return checkpoint;
}

Checkpoint Checkpoint::dummy(const formats::ModelConfig& config, std::vector<WeightSpec> specs, uint64_t seed) {
  Checkpoint checkpoint;
  checkpoint.dummy_ = DummyRecipe{config, seed};
  for (auto& spec : specs) {
    if (!spec.required && config.tie_word_embeddings) continue;
    checkpoint.weights_.emplace(spec.name, dummy_shape(spec, config));
    std::string name = spec.name;
    checkpoint.dummy_specs_.emplace(std::move(name), std::move(spec));
  }
  return checkpoint;
}

CheckpointWeight Checkpoint::weight(std::string_view name, bool stand_ins) const {
  if (dummy_) {
    const auto spec = dummy_specs_.find(name);
    MHUB_CHECK(spec != dummy_specs_.end());
    if (stand_ins) {
      if (auto stand_in = dummy_stand_in(spec->second, dummy_->config, dummy_->seed)) return *std::move(stand_in);
    }
    return dummy_weight(spec->second, dummy_->config, dummy_->seed);
  }
  const auto found = weights_.find(name);
  MHUB_CHECK(found != weights_.end());
  return found->second.make ? found->second.make() : found->second;
}

std::vector<float> Checkpoint::floats(std::string_view name) const {
  const CheckpointWeight found = weight(name);
  std::vector<float> values(static_cast<size_t>(found.source.rows * found.source.cols));
  kernels::dequantize_rows(found.source, 0, found.source.rows, values.data());
  return values;
}

void Checkpoint::drop_pages() const {
  for (const auto& file : files_) file->drop_pages();
}

uint64_t Checkpoint::total_bytes() const {
  uint64_t total = 0;
  for (const auto& [name, weight] : weights_) total += weight.bytes;
  return total;
}

uint64_t Checkpoint::bytes_on(const kernels::Backend& backend) const {
  uint64_t total = 0;
  for (const auto& [name, weight] : weights_) {
    kernels::MatrixSource source = weight.source;
    if (weight.as_float) source.dtype = kernels::DType::kF32;
    total += source.rows == 1 ? static_cast<uint64_t>(source.cols) * sizeof(float)
                              : backend.prepared_bytes(source, weight.bytes);
  }
  return total;
}

bool Checkpoint::expanded_on(const kernels::Backend& backend) const {
  return std::any_of(weights_.begin(), weights_.end(), [&](const auto& named) {
    const CheckpointWeight& weight = named.second;
    const auto dtype = weight.source.dtype;
    const bool quantized = kernels::is_block_type(dtype) || dtype == kernels::DType::kU4 ||
                           dtype == kernels::DType::kI8 || dtype == kernels::DType::kF8E4M3;
    return quantized && backend.prepared_bytes(weight.source, weight.bytes) > weight.bytes;
  });
}

}  // namespace mhub::model
