// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace mhub::kernels::cpu {

// Owned bytes, 64-byte aligned; on huge pages where they are big and the system lends them.
class HostMemory {
 public:
  HostMemory() = default;
  // Empty (data() == nullptr) when the system has not that much memory; bytes > 0.
  static HostMemory allocate(size_t bytes);

  uint8_t* data() const { return static_cast<uint8_t*>(data_.get()); }
  size_t bytes() const { return bytes_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  friend class HostArena;
  std::shared_ptr<void> data_;  // shared only by the pieces of an arena's chunk
  size_t bytes_ = 0;
};

// Hands out pieces of chunks that are big enough for huge pages, so that small matrices get them too. A chunk is freed
// with its last piece; the arena itself may go first.
class HostArena {
 public:
  HostMemory allocate(size_t bytes);

 private:
  HostMemory chunk_;
  size_t used_ = 0;
};

}  // namespace mhub::kernels::cpu
