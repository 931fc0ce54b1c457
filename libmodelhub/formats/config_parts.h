// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "families.h"
#include "json_fields.h"
#include "mhub/formats/model_config.h"

// The parts of config.json that have a file of their own.
namespace mhub::formats {

// Soft caps, the scale of queries, latent attention (which sets head_dim). Needs the sizes.
Result<void> read_attention(const JsonFields& fields, const Family& family, ModelConfig& config);
// sliding_window and the layers that use it. Needs the rope.
Result<void> read_sliding_window(const JsonFields& fields, const Family& family, ModelConfig& config);
// num_experts and what belongs to it -> config.experts, where the architecture has experts.
Result<void> read_experts(const JsonFields& fields, ModelConfig& config);
Result<void> cross_check_experts(const ModelConfig& config, const std::filesystem::path& file);
// rope_theta, rope_scaling, rope_parameters, partial_rotary_factor -> config. Needs head_dim and
// max_position_embeddings.
Result<void> read_rope(const JsonFields& fields, ModelConfig& config);
// quantization_config (or compression_config) -> config.quantization.
Result<void> read_quantization(const JsonFields& fields, ModelConfig& config);
// What holds between the fields whatever file they came from. `where` starts the message.
Result<void> cross_check(const ModelConfig& config, const std::filesystem::path& file);

}  // namespace mhub::formats
