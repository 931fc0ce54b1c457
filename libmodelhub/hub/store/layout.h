// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "mhub/registry/registry.h"

namespace mhub::hub {

// Where things lie below the home directory:
//   registry.db
//   models/<source>/<org>/<name>/<commit>/...   finished models, plain file names
//   partial/...                                 downloads and imports under way; same file system as models/
//   manifests/<digest>.json                     every row once more (store/manifest.h)
//   leases/<digest>                             locked by who has the model open (store/lease.h)
class StoreLayout {
 public:
  explicit StoreLayout(std::filesystem::path home) : home_(std::move(home)) {}
  const std::filesystem::path& home() const { return home_; }
  std::filesystem::path registry_file() const { return home_ / "registry.db"; }
  std::filesystem::path models() const { return home_ / "models"; }
  std::filesystem::path partial() const { return home_ / "partial"; }
  std::filesystem::path manifests() const { return home_ / "manifests"; }
  std::filesystem::path leases() const { return home_ / "leases"; }
  // Where a download of this model assembles its files (transfer/work_directory.h): its lock says who works on it.
  std::filesystem::path download_root(const std::string& source, const std::string& name,
                                      const std::string& commit) const;
  // `name` is "org/name" (or one segment) and `commit` one component; both already checked.
  std::filesystem::path model_directory(const std::string& source, const std::string& name,
                                        const std::string& commit) const;
  // Whether an absolute path names something below models/ (lexically, after normalization).
  bool in_models(const std::filesystem::path& path) const;

 private:
  std::filesystem::path home_;
};

// models/<source>/<org>/<name> without a commit left: removes the empty ones, up to models/.
void remove_empty_parents(const StoreLayout& layout, const std::filesystem::path& directory);

// Content id of a set of files, for sources that have no commit ids: 40 hex digits over (sha256, size, path), in path
// order. Has the form of a git commit because the clients of both hubs expect that.
std::string listing_digest(std::span<const registry::FileRecord> files);

// Now, as RFC 3339 in UTC with milliseconds.
std::string timestamp_now();
// The same form for another moment.
std::string timestamp_of(std::chrono::system_clock::time_point time);

}  // namespace mhub::hub
