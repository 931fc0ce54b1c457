// SPDX-License-Identifier: Apache-2.0
#include "support/counted_new.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<size_t> calls{0}, bytes_asked{0};

void* counted(size_t bytes) {
  ++calls;
  bytes_asked += bytes;
  if (void* p = std::malloc(bytes ? bytes : 1)) return p;
  throw std::bad_alloc();
}
}  // namespace

namespace mhub::test {
size_t new_calls() {
  return calls;
}
size_t new_bytes() {
  return bytes_asked;
}
}  // namespace mhub::test

void* operator new(size_t bytes) {
  return counted(bytes);
}
void* operator new[](size_t bytes) {
  return counted(bytes);
}
void operator delete(void* p) noexcept {
  std::free(p);
}
void operator delete[](void* p) noexcept {
  std::free(p);
}
void operator delete(void* p, size_t) noexcept {
  std::free(p);
}
void operator delete[](void* p, size_t) noexcept {
  std::free(p);
}
