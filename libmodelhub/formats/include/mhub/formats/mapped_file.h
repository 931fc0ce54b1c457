// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

#include "mhub/base/result.h"

namespace mhub::formats {

// A regular file mapped read-only. Refuses FIFOs, devices and directories by looking at the open descriptor.
class MappedFile {
 public:
  static Result<std::shared_ptr<const MappedFile>> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const std::byte> bytes() const { return bytes_; }
  const std::filesystem::path& path() const { return path_; }
  // Gives back the memory of what was read so far: the bytes stay readable, and come from the page cache again.
  void drop_pages() const;

 private:
  MappedFile() = default;
  std::filesystem::path path_;
  std::span<const std::byte> bytes_;
};

// Whole text file with a size limit (config.json, templates). kBadModel over the limit, kDisk when unreadable.
Result<std::string> read_text_file(const std::filesystem::path& path, size_t max_bytes);

}  // namespace mhub::formats
