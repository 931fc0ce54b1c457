// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/kernels/dtype.h"

namespace mhub::quantize {

// A tensor to be written. Its size follows from dtype and shape.
struct OutputTensor {
  std::string name;
  kernels::DType dtype = kernels::DType::kF32;
  std::vector<int64_t> shape;
  uint64_t bytes() const;
};

// A file descriptor that closes itself.
class OutputFile {
 public:
  static Result<std::unique_ptr<OutputFile>> create(const std::filesystem::path& path, uint64_t bytes);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  Result<void> write_at(uint64_t offset, std::span<const std::byte> bytes);
  Result<void> sync();

 private:
  OutputFile(std::filesystem::path path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::filesystem::path path_;
  int fd_;
};

// Safetensors files of a model: all headers are known and written first, then tensors are filled in any order.
// Shards hold at most `max_shard_bytes` of data (one tensor may be larger) and are named as Hugging Face names them.
class ShardWriter {
 public:
  static Result<ShardWriter> create(const std::filesystem::path& dir, const std::vector<OutputTensor>& tensors,
                                    uint64_t max_shard_bytes);
  Result<void> write(const std::string& tensor, uint64_t offset, std::span<const std::byte> bytes);
  // Syncs the files and writes the index when there is more than one.
  Result<void> finish();
  uint64_t file_bytes() const { return file_bytes_; }

 private:
  struct Place {
    size_t file = 0;
    uint64_t offset = 0, bytes = 0;
  };
  std::filesystem::path dir_;
  std::vector<std::unique_ptr<OutputFile>> files_;
  std::vector<std::string> names_;
  std::map<std::string, Place> places_;
  uint64_t file_bytes_ = 0;
};

// A whole small file, synced. kDisk.
Result<void> write_small_file(const std::filesystem::path& path, std::string_view content);
// fsync of a directory, so that names in it survive a power loss.
Result<void> sync_directory(const std::filesystem::path& dir);

}  // namespace mhub::quantize
