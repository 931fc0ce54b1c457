// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mhub/formats/mapped_file.h"
#include "mhub/kernels/dtype.h"

namespace mhub::formats {

// One tensor of a model file, still in the file.
struct TensorEntry {
  std::string name;
  kernels::DType dtype = kernels::DType::kF32;
  std::vector<int64_t> shape;  // row-major, as PyTorch prints it (GGUF dimensions reversed); [] for a scalar
  uint32_t file = 0;           // index into TensorTable::files
  uint64_t offset = 0;         // from the start of the file
  uint64_t bytes = 0;          // exactly what dtype and shape need
};

// All tensors of a model (one or more files). Names are as written in the files.
struct TensorTable {
  std::vector<std::shared_ptr<const MappedFile>> files;
  std::map<std::string, TensorEntry, std::less<>> tensors;
  std::map<std::string, std::string> metadata;  // safetensors __metadata__ of the first file
  std::map<std::string, std::string, std::less<>> unsupported;  // tensors of an unreadable dtype: name -> dtype

  const TensorEntry* find(std::string_view name) const;
  const std::byte* data(const TensorEntry& entry) const;
};

// model.safetensors, or the shards that model.safetensors.index.json names. Validates every header fully (model-formats:
// sorted, contiguous, checked sizes, no duplicate) before returning. Errors are kBadModel and name file, offset, need, have.
Result<TensorTable> open_safetensors_dir(const std::filesystem::path& dir);
Result<TensorTable> open_safetensors_file(const std::filesystem::path& file);

}  // namespace mhub::formats
