// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "mhub/formats/tensor_table.h"
#include "weights/checkpoint.h"

namespace mhub::model {

Error bad_tensor(const formats::TensorTable& tensors, std::string_view name, const std::string& what);
Error missing_tensor(const formats::TensorTable& tensors, std::string_view name);

// A tensor of plain or block elements as the weight of `spec`. Errors name shape and dtype.
Result<CheckpointWeight> plain_weight(const formats::TensorTable& tensors, const formats::TensorEntry& entry,
                                      const WeightSpec& spec);
// kBadModel when a float tensor (norm, bias, scale) holds NaN or infinity.
Result<void> check_finite(const formats::TensorTable& tensors, const formats::TensorEntry& entry);
// kBadModel naming the tensors of the file that no weight used. Known leftovers are ignored: rotary_emb.inv_freq, and
// the layers past num_hidden_layers that predict further tokens.
Result<void> check_no_surplus(const formats::TensorTable& tensors, const std::set<std::string, std::less<>>& used,
                              const formats::ModelConfig& config);
bool is_float_dtype(kernels::DType dtype);  // F32, F16, BF16

// nullopt when the file has neither form of the weight. `used` receives the names of the tensors taken.
Result<std::optional<CheckpointWeight>> compressed_weight(const formats::TensorTable& tensors, const WeightSpec& spec,
                                                          const formats::CompressedTensors& quantization,
                                                          std::set<std::string, std::less<>>& used);

// The same for F8_E4M3, and for GPTQ and AWQ.
Result<std::optional<CheckpointWeight>> float8_weight(const formats::TensorTable& tensors, const WeightSpec& spec,
                                                      std::set<std::string, std::less<>>& used);
Result<std::optional<CheckpointWeight>> gptq_weight(const formats::TensorTable& tensors, const WeightSpec& spec,
                                                    const formats::CompressedTensors& quantization,
                                                    std::set<std::string, std::less<>>& used);
// Whichever of these `quantization` names.
Result<std::optional<CheckpointWeight>> quantized_weight(const formats::TensorTable& tensors, const WeightSpec& spec,
                                                         const formats::CompressedTensors& quantization,
                                                         std::set<std::string, std::less<>>& used);

// The expert of `spec` from a tensor [num_experts, rows, cols].
Result<CheckpointWeight> expert_slice(const formats::TensorTable& tensors, const formats::TensorEntry& entry,
                                      const WeightSpec& spec);
// nullopt when `spec` is no expert or the file does not store experts stacked.
Result<std::optional<CheckpointWeight>> stacked_expert(const formats::TensorTable& tensors, const WeightSpec& spec,
                                                       std::set<std::string, std::less<>>& used);

// GGUF's name of a Hugging Face tensor; empty when it has none. An expert's is that of all experts of the layer.
// norms_after: post_attention_layernorm norms what attention returns (Gemma, OLMo 2, and by name gpt-oss).
std::string gguf_tensor_name(std::string_view hf_name, bool norms_after);
// kv_b_proj from its two halves; nullopt when `spec` is another weight or the file has it whole.
Result<std::optional<CheckpointWeight>> gguf_kv_b(const formats::TensorTable& tensors, const WeightSpec& spec,
                                                  const std::string& gguf_name, const formats::ModelConfig& config,
                                                  std::set<std::string, std::less<>>& used);

// Random weight of `spec`, the same for the same seed and name.
CheckpointWeight dummy_weight(const WeightSpec& spec, const formats::ModelConfig& config, uint64_t seed);
// dummy_weight(spec) without its bytes; `bytes` says how many they are.
CheckpointWeight dummy_shape(const WeightSpec& spec, const formats::ModelConfig& config);
// The same values as a key that a back end makes them from; nullopt for vectors and quantized weights.
std::optional<CheckpointWeight> dummy_stand_in(const WeightSpec& spec, const formats::ModelConfig& config,
                                               uint64_t seed);

}  // namespace mhub::model
