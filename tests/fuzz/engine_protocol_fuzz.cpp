// SPDX-License-Identifier: Apache-2.0
// Frames between server and worker: whatever decodes encodes to the same size; nothing else happens.
#include <cstdlib>

#include "protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mhub::engine;
  const auto decoded = decode_frame({reinterpret_cast<const std::byte*>(data), size});
  if (!decoded) return 0;
  std::string again;
  append_frame(*decoded, again);
  if (again.size() != size + sizeof(uint32_t)) std::abort();
  return 0;
}
