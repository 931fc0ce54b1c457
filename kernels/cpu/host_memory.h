// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
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
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  std::unique_ptr<void, Free> data_;
  size_t bytes_ = 0;
};

}  // namespace mhub::kernels::cpu
