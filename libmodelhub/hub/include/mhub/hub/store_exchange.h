// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/hub/model_library.h"

// Models to and from other programs' stores and other machines, without a network.
namespace mhub::hub {

struct AdoptReport {
  std::vector<registry::ModelRecord> adopted;  // without files
  std::vector<std::string> already;            // "name: path" that the registry had
  std::vector<std::string> refused;            // "path: why"
  uint64_t bytes = 0, bytes_copied = 0;        // copied where the disk can neither link nor share blocks
};
// Takes over what lies below `root`: a Hugging Face cache (or one models--org--name of it), a ModelScope cache of
// either layout, an Ollama store. Files are linked into our store (reflink or copy where that fails), hashed, and
// compared with the hashes that such a cache keeps. One bad model is refused, the others are taken. kUsage: nothing
// there is known.
Result<AdoptReport> adopt(ModelLibrary& library, const std::filesystem::path& root, std::stop_token stop);

enum class CacheLayout { kHuggingFace, kModelScope };
// Shows a registered model in another cache's layout below `root` (its "hub" or cache directory), by links where the
// disk allows; gives the snapshot's directory. A ref or directory appears last.
Result<std::filesystem::path> expose(ModelLibrary& library, const registry::ModelRecord& model, CacheLayout layout,
                                     const std::filesystem::path& root, std::stop_token stop);

struct BundleReport {
  std::vector<registry::ModelRecord> models;  // without files
  size_t contents = 0;                        // different files in the bundle
  uint64_t bytes = 0;
};
// One tar file (GNU tar reads it): mhub-bundle.json, then every content once under its SHA-256. Each file is hashed
// while it is written: a damaged one fails the export (kIntegrity) and leaves no bundle.
Result<BundleReport> export_bundle(ModelLibrary& library, const std::vector<std::string>& models,
                                   const std::filesystem::path& file, std::stop_token stop);
// Whether a file begins as a bundle does.
bool is_bundle(const std::filesystem::path& file);
// Verifies every content on the way and registers the models only when all is there. kIntegrity, kPolicy (unsafe
// names).
Result<BundleReport> import_bundle(ModelLibrary& library, const std::filesystem::path& file, std::stop_token stop);

}  // namespace mhub::hub
