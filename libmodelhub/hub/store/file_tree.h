// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "mhub/base/result.h"
#include "mhub/registry/registry.h"

namespace mhub::hub {

// The row's idea of a file and the file itself.
void set_stat(registry::FileRecord& file, const struct stat& info);
// Same size, mtime, ctime and inode as when it was verified: what a warm check trusts without reading.
bool looks_unchanged(const registry::FileRecord& file, const struct stat& info);
bool looks_unchanged(const registry::FileRecord& file, int directory_fd);

// Relative names of the regular files below a directory, sorted. Links and special files are left out; so is what
// `skip` (given the relative name, of a directory too) says.
Result<std::vector<std::string>> list_files(int directory_fd, const std::function<bool(const std::string&)>& skip = {});

// Hashes files below a directory, several at once, and fills in bytes, sha256, stat and verified_at. Also syncs them
// when `sync`. kIntegrity when one changes meanwhile.
Result<std::vector<registry::FileRecord>> hash_files(int directory_fd, std::span<const std::string> paths, bool sync,
                                                     std::stop_token stop);

// Runs body(0..count-1) on up to one thread per core; the first error (or exception) ends the
// rest and comes back.
Result<void> run_parallel(size_t count, const std::function<Result<void>(size_t)>& body);

}  // namespace mhub::hub
