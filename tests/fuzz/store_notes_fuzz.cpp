// SPDX-License-Identifier: Apache-2.0
// What the store reads of foreign hands: manifests (of a bundle too), tar headers, Ollama manifests.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "store/foreign_cache.h"
#include "store/manifest.h"
#include "store/tar.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto model = mhub::hub::parse_manifest(text)) {
    // What was read is written the same way and read again.
    if (!mhub::hub::parse_manifest(mhub::hub::manifest_text(*model))) std::abort();
  }
  (void)mhub::hub::parse_ollama_manifest(text, "model", "tag");
  mhub::hub::TarBlock block{};
  std::memcpy(block.data(), data, std::min(size, block.size()));
  const auto entry = mhub::hub::parse_tar_header(block);
  if (entry && *entry && (*entry)->bytes > INT64_MAX) std::abort();
  return 0;
}
