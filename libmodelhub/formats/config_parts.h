// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "json_fields.h"
#include "mhub/formats/model_config.h"

// The parts of config.json that have a file of their own.
namespace mhub::formats {

// rope_theta, rope_scaling, rope_parameters, partial_rotary_factor -> config. Needs head_dim and
// max_position_embeddings.
Result<void> read_rope(const JsonFields& fields, ModelConfig& config);
// quantization_config (or compression_config) -> config.quantization.
Result<void> read_quantization(const JsonFields& fields, ModelConfig& config);
// What holds between the fields whatever file they came from. `where` starts the message.
Result<void> cross_check(const ModelConfig& config, const std::filesystem::path& file);

}  // namespace mhub::formats
