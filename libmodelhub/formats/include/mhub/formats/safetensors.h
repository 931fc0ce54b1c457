// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "mhub/formats/tensor_table.h"

namespace mhub::formats {

// One parsed and fully validated safetensors header.
struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;                // in file order; offsets count from the start of the file
  std::map<std::string, std::string> unsupported;  // tensors of a dtype this build has no type for: name -> dtype
  std::map<std::string, std::string> metadata;     // __metadata__
  uint64_t data_begin = 0;                         // 8 + header length
};

// `file` is the whole file; `path` only names it in errors. Errors: kBadModel.
Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> file, const std::filesystem::path& path);

}  // namespace mhub::formats
