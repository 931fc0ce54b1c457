// SPDX-License-Identifier: Apache-2.0
// mhub.lock: what was read is written and read again as the same.
#include <cstdlib>

#include "mhub/hub/site.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto lock = mhub::hub::parse_lock({reinterpret_cast<const char*>(data), size}, "mhub.lock");
  if (!lock) return 0;
  const std::string text = mhub::hub::lock_text(*lock);
  const auto again = mhub::hub::parse_lock(text, "mhub.lock");
  if (!again || mhub::hub::lock_text(*again) != text) std::abort();
  return 0;
}
