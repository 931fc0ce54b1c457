// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mhub::hub {

// A file's content as extents of 4 MiB, each with a hash of its own: where a file went bad, not whether (that is the
// SHA-256's word). XXH64, because it costs a tenth of what the SHA-256 beside it does.
constexpr uint64_t kExtentBytes = 4u << 20;

uint64_t xxh64(std::span<const std::byte> bytes);

// Given the content in order and in pieces of any size; finish() once: 8 bytes, little-endian, per begun extent.
class ExtentHasher {
 public:
  ExtentHasher();
  void update(std::span<const std::byte> bytes);
  std::string finish();

 private:
  void end_extent();
  struct Lanes {
    uint64_t v[4];
  };
  Lanes lanes_;
  std::byte tail_[32];
  size_t tail_bytes_ = 0;
  uint64_t extent_bytes_ = 0;  // of the extent under way
  std::string hashes_;
};

}  // namespace mhub::hub
