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

// A real model (CMake's MHUB_SMOLLM2_GGUF or MHUB_GEMMA3_GGUF); nullopt when this machine has not fetched it.
inline std::optional<std::filesystem::path> real_model(const char* variable) {
  const char* file = std::getenv(variable);
  if (!file || !std::filesystem::is_regular_file(file)) return std::nullopt;
  return std::filesystem::path(file);
}

}  // namespace mhub::test
