// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "mhub/base/json.h"
#include "mhub/quantize/quantize.h"
#include "source_model.h"

// The small files beside the weights, so that transformers and vLLM load the directory.
namespace mhub::quantize {

// quantization_config as compressed-tensors writes it.
OrderedJson quantization_config(const QuantizeOptions& options);

// config.json, generation_config.json and tokenizer files of the quantized model into `dir`.
Result<void> write_model_files(const SourceModel& source, const QuantizeOptions& options,
                               const std::filesystem::path& dir);

// config.json of a model that came without one (GGUF).
OrderedJson config_json(const formats::ModelConfig& config, kernels::DType dtype);

// tokenizer.json and tokenizer_config.json from a GGUF vocabulary.
struct TokenizerFiles {
  OrderedJson tokenizer, config;
};
Result<TokenizerFiles> tokenizer_files(const formats::GgufFile& gguf);

}  // namespace mhub::quantize
