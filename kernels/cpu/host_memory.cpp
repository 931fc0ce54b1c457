// SPDX-License-Identifier: Apache-2.0
#include "host_memory.h"

#include <sys/mman.h>

#include <cstdlib>

#include "host.h"

namespace mhub::kernels::cpu {
namespace {
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kChunk = size_t{32} << 20;
constexpr size_t kAskSystem = size_t{64} << 20;  // below this an allocation is not checked against free memory
}  // namespace

HostMemory HostMemory::allocate(size_t bytes) {
  HostMemory memory;
  if (bytes == 0 || bytes > SIZE_MAX / 2) return memory;
  if (bytes >= kAskSystem && bytes > memory_facts().available) return memory;
  const size_t alignment = bytes >= kHugePage ? kHugePage : 64;
  void* raw = nullptr;
  if (posix_memalign(&raw, alignment, bytes) != 0) return memory;
  memory.data_ = std::shared_ptr<void>(raw, std::free);
  if (alignment == kHugePage) madvise(raw, bytes, MADV_HUGEPAGE);  // refusal only costs speed
  memory.bytes_ = bytes;
  return memory;
}

HostMemory HostArena::allocate(size_t bytes) {
  if (bytes >= kChunk / 2) return HostMemory::allocate(bytes);
  const size_t rounded = (bytes + 63) / 64 * 64;
  if (!chunk_ || used_ + rounded > chunk_.bytes()) {
    chunk_ = HostMemory::allocate(kChunk);
    used_ = 0;
    if (!chunk_) return HostMemory::allocate(bytes);
  }
  HostMemory piece;
  piece.data_ = std::shared_ptr<void>(chunk_.data_, chunk_.data() + used_);
  piece.bytes_ = bytes;
  used_ += rounded;
  return piece;
}

}  // namespace mhub::kernels::cpu
