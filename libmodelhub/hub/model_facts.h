// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "mhub/base/result.h"
#include "mhub/formats/model_config.h"
#include "mhub/formats/tensor_table.h"

namespace mhub::hub {

// What `list` says about a model beside its name.
struct ModelFacts {
  std::string format = "other";  // "safetensors" | "gguf" | "other"
  std::string quantization;      // "BF16", "Q4_K_M", "int4-g128", "fp8"; "" when unknown
  std::string architecture;      // "LlamaForCausalLM"; "" when unknown
};

// Opens and validates every tensor header. kBadModel; `files` gets the tensor files that make up the model.
struct InspectedModel {
  ModelFacts facts;
  std::vector<std::filesystem::path> tensor_files;
};
Result<InspectedModel> inspect_model(const formats::ModelLocation& location);

// The same for a directory that need not hold a whole or a single model (a download of some files): never fails,
// leaves empty what it cannot tell.
ModelFacts describe_directory(const std::filesystem::path& directory);

}  // namespace mhub::hub
