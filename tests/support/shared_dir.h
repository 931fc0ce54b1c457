// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>

namespace mhub::test {

// The optional folder of reference models and results (CMake's MHUB_SHARED_DIR); nullopt when this machine has none.
inline std::optional<std::filesystem::path> shared_dir() {
  const char* dir = std::getenv("MHUB_SHARED_DIR");
  if (!dir || !*dir || !std::filesystem::is_directory(dir)) return std::nullopt;
  return std::filesystem::path(dir);
}

}  // namespace mhub::test
